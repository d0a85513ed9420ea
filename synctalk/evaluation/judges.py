"""The networks that score: SyncNet for LSE, an AV-HuBERT observer for WER. They never supervised what they score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.features.roi_input import roi_input
from synctalk.jobs import progress_bar
from synctalk.metrics.lse import LipSync, lse
from synctalk.models.beam_search import BeamConfig, beam_search
from synctalk.models.lip_reader import LipReader
from synctalk.models.sync_scorer import SyncScorer
from synctalk.training.data import pad_stack
from synctalk.training.loop import device
from synctalk.training.text import Tokenizer

READ_BATCH = 16
"""Clips that the observer reads at a time."""


@dataclass(frozen=True)
class SyncEmbeddings:
    """SyncNet's view of one clip: lip and audio embeddings of its N windows, [N, D] each."""

    lip: Tensor
    audio: Tensor


def sync_embeddings(
    scorer: SyncScorer,
    pictures: NDArray[np.uint8] | Iterable[NDArray[np.uint8]],
    mfcc: NDArray[np.float32],
    n_samples: int,
) -> SyncEmbeddings:
    """Embeddings of a clip, whose pictures uint8 [C, H, W] may come one by one; see `SyncScorer.embed`."""
    scorer.to(device())
    lip, audio = scorer.embed(map(torch.from_numpy, pictures), torch.from_numpy(mfcc), n_samples)
    return SyncEmbeddings(lip, audio)


def judge_sync(lips: SyncEmbeddings, sound: SyncEmbeddings) -> LipSync:
    """LSE of the lips of one clip against the sound of the same or another clip, over the windows that both have."""
    n_windows = min(len(lips.lip), len(sound.audio))
    return lse(lips.lip[:n_windows], sound.audio[:n_windows])


@torch.no_grad()
def read_lips(
    model: LipReader, tokenizer: Tokenizer, mouths: Sequence[NDArray[np.uint8]], crop: int, beam: BeamConfig
) -> list[str]:
    """Transcripts of grey mouth regions uint8 [T, R, R], by beam search on the video alone; in the order given."""
    place = device()
    model.to(place)
    order = sorted(range(len(mouths)), key=lambda number: len(mouths[number]))
    texts = [""] * len(mouths)
    starts = range(0, len(order), READ_BATCH)
    for start in progress_bar(iterable=starts, desc="read lips", unit="batch"):
        numbers = order[start : start + READ_BATCH]
        n_frames = torch.tensor([len(mouths[number]) for number in numbers])
        video = pad_stack([torch.from_numpy(roi_input(mouths[number], crop)) for number in numbers])[:, None]
        padding = (torch.arange(video.shape[2])[None] >= n_frames[:, None]).to(place)
        encoding = model.encode(None, video.to(place), padding)
        for number, hypotheses in zip(numbers, beam_search(model, encoding, padding, beam), strict=True):
            texts[number] = tokenizer.decode(hypotheses[0].tokens.tolist())
    return texts
