"""An AV-HuBERT observer, which reads lips for the word error rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synctalk.evaluation.videos.prepared import PreparedVideo
from synctalk.features.roi_input import roi_input
from synctalk.features.speech_batch import pad_stack
from synctalk.features.tokens import Tokenizer
from synctalk.metrics.wer import character_edits, word_edits
from synctalk.models.beam_search import BeamConfig, beam_search, kept_bytes
from synctalk.models.lip_reader import LipReader, LipReaderConfig
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar

READ_BATCH = 16
"""Clips that the observer reads at a time, at most."""


READ_BYTES = 2 * 1024**3
"""Bytes that its search may keep for them, see `kept_bytes`: with beam 50 the large net needs 1.5 GB for 400 frames."""


@dataclass(frozen=True)
class LipJudge:
    """An observer with its tokenizer and input crop, and how it searches."""

    model: LipReader
    tokenizer: Tokenizer
    crop: int
    beam: BeamConfig


def read_batches(n_frames: Sequence[int], config: LipReaderConfig, beam: BeamConfig) -> list[list[int]]:
    """Clips of like length, as many at a time as `READ_BATCH` and `READ_BYTES` allow, one at least."""
    batches: list[list[int]] = []
    for number in sorted(range(len(n_frames)), key=n_frames.__getitem__):
        # ascending, so that the newest clip is the longest of its batch
        most = max(1, min(READ_BATCH, READ_BYTES // kept_bytes(config, beam, n_frames[number])))
        if batches and len(batches[-1]) < most:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


@torch.no_grad()
def read_lips(
    model: LipReader, tokenizer: Tokenizer, mouths: Sequence[NDArray[np.uint8]], crop: int, beam: BeamConfig
) -> list[str]:
    """Transcripts of grey mouth regions uint8 [T, R, R], by beam search on the video alone; in the order given."""
    device = torch_device()
    model.to(device)
    texts = [""] * len(mouths)
    batches = read_batches([len(mouth) for mouth in mouths], model.config, beam)
    for numbers in progress_bar(iterable=batches, desc="read lips", unit="batch"):
        n_frames = torch.tensor([len(mouths[number]) for number in numbers])
        video = pad_stack([torch.from_numpy(roi_input(mouths[number], crop)) for number in numbers])[:, None]
        padding = (torch.arange(video.shape[2])[None] >= n_frames[:, None]).to(device)
        encoding = model.encode(None, video.to(device), padding)
        for number, hypotheses in zip(numbers, beam_search(model, encoding, padding, beam), strict=True):
            texts[number] = tokenizer.decode(hypotheses[0].tokens.tolist())
    return texts


def lip_figures(videos: Sequence[PreparedVideo], judge: LipJudge | None) -> list[dict[str, Any]]:
    """What the observer reads in each video that has mouths, and its edits where the transcript is known."""
    if judge is None:
        return [{}] * len(videos)
    mouths = [clip.mouths for clip in videos]
    seen = [number for number, mouth in enumerate(mouths) if mouth is not None]
    texts = read_lips(judge.model, judge.tokenizer, [m for m in mouths if m is not None], judge.crop, judge.beam)
    figures: list[dict[str, Any]] = [{} for _ in videos]
    for number, text in zip(seen, texts, strict=True):
        figures[number]["hypothesis"] = text
        reference = videos[number].transcript
        if reference is not None:
            words, characters = word_edits(reference, text), character_edits(reference, text)
            figures[number] |= {
                "edits": words.edits,
                "n_words": words.n_reference,
                "char_edits": characters.edits,
                "n_chars": characters.n_reference,
            }
    return figures
