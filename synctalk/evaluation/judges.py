"""The networks that score: SyncNet for LSE, an AV-HuBERT observer and a Conformer for WER. They never supervised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.features.roi_input import roi_input
from synctalk.features.speech_batch import pad_stack
from synctalk.features.tokens import Tokenizer, Units
from synctalk.metrics.lse import LipSync, lse
from synctalk.models.beam_search import BeamConfig, beam_search, kept_bytes
from synctalk.models.conformer import Conformer
from synctalk.models.conformer_search import JointBeamConfig, joint_beam_search
from synctalk.models.lip_reader import LipReader, LipReaderConfig
from synctalk.models.sync_scorer import SyncScorer
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar

READ_BATCH = 16
"""Clips that the observer reads at a time, at most."""
READ_BYTES = 2 * 1024**3
"""Bytes that its search may keep for them, see `kept_bytes`: with beam 50 the large net needs 1.5 GB for 400 frames."""


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
    scorer.to(torch_device())
    lip, audio = scorer.embed(map(torch.from_numpy, pictures), torch.from_numpy(mfcc), n_samples)
    return SyncEmbeddings(lip, audio)


def judge_sync(lips: SyncEmbeddings, sound: SyncEmbeddings) -> LipSync:
    """LSE of the lips of one clip against the sound of the same or another clip, over the windows that both have."""
    n_windows = min(len(lips.lip), len(sound.audio))
    return lse(lips.lip[:n_windows], sound.audio[:n_windows])


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


@dataclass(frozen=True)
class ConformerReading:
    """What the Conformer makes of one clip.

    Attributes:
        forced: the likeliest piece at each place of the transcript, given all true pieces before it; no more places
            than the transcript has. None without a transcript.
        free: what it reads without one.
    """

    forced: str | None
    free: str


@torch.no_grad()
def read_by_conformer(
    model: Conformer,
    units: Units,
    mouths: Sequence[NDArray[np.uint8]],
    transcripts: Sequence[str | None],
    crop: int,
    beam: JointBeamConfig,
) -> list[ConformerReading]:
    """Readings of grey mouth regions uint8 [T, R, R], on the video alone; in the order given.

    Teacher forcing is the released evaluation's (TalkLip's "observer 2", peers: WER2 of TalkLip = WER3 of the paper):
    it knows the words, and says how likely the lips make them. One clip at a time, for the Conformer's convolutions see
    the padding of a batch.
    """
    device = torch_device()
    model.to(device).eval()
    readings = []
    pairs = zip(mouths, transcripts, strict=True)
    for mouth, transcript in progress_bar(iterable=pairs, desc="read by the conformer", unit="clip", total=len(mouths)):
        video = torch.from_numpy(roi_input(mouth, crop))[None, None].to(device)
        encoding = model.encode(video)
        free = joint_beam_search(model, encoding[0], beam)[0].tokens.tolist()
        forced = None
        if transcript is not None:
            tokens = units.encode(transcript)
            given = torch.tensor([[model.config.eos, *tokens]], device=device)
            likeliest = model.decoder(given, encoding, None)[0, : len(tokens)].argmax(-1)
            forced = units.decode(likeliest.tolist())
        readings.append(ConformerReading(forced, units.decode(free)))
    return readings
