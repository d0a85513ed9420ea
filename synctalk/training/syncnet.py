"""Training of the SyncNet judge behind LSE, where the published one is not at hand."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.features.syncnet_input import View, judge_pictures, stored_pictures
from synctalk.losses.offset import offset_loss
from synctalk.models.syncnet import LIP_WINDOW, SyncNet, SyncNetConfig, audio_windows
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache, long_enough
from synctalk.shards.read import Sample
from synctalk.timebase import FBANK_PER_FRAME
from synctalk.training.batches import batches_of
from synctalk.training.fit import Task
from synctalk.training.optim import OptimParams

MIN_BLUR = 0.4
"""Blurs of a smaller sigma, pixels, are left out."""


@section
class SyncNetParams:
    """The judge of synchronisation (params.yaml: `syncnet`)."""

    checkpoint: str = ""
    """Published weights to take as they are (`syncnet_v2.model`); "" trains the judge here."""
    view: View
    """What it sees: `frame` (the whole frame: Wav2Lip's protocol for LRS, as the paper), `tracked` (SyncNet's own crop
    for footage in the wild), or our `face` or `mouth` crops.
    """
    model: SyncNetConfig
    corpora: tuple[str, ...]
    optim: OptimParams
    clip_frames: int
    """Frames cut from each clip of a batch; shorter clips are not taken."""
    max_shift: int
    """Shifts that compete in training, frames."""
    augment: bool
    """Vary position, size, light and noise of pictures and audio, so that the judge carries over to other footage."""


def vary_pictures(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A clip's pictures [T, S, S(, 3)] moved, turned, stretched, mirrored, blurred and relit, all frames alike."""
    side = pictures.shape[1]
    middle = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-8, 8), rng.uniform(0.85, 1.25))
    stretch = rng.uniform(0.85, 1.15)
    matrix[1] *= stretch
    matrix[1, 2] += middle * (1 - stretch)
    matrix[:, 2] += rng.uniform(-0.1, 0.1, 2) * side
    if rng.integers(2):
        matrix[0] *= -1
        matrix[0, 2] += side - 1
    blur, gamma = rng.uniform(0, 1.2), rng.uniform(0.6, 1.6)
    contrast, light = rng.uniform(0.5, 1.3), rng.uniform(-40, 40)
    noise = rng.uniform(0, 6)
    levels = 128 + light + contrast * (255 * (np.arange(256) / 255) ** gamma - 128)
    out = []
    for picture in pictures:
        moved = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        out.append(levels[cv2.GaussianBlur(moved, (0, 0), blur) if blur > MIN_BLUR else moved])
    varied = np.stack(out) + noise * rng.standard_normal(pictures.shape)
    return np.clip(varied, 0, 255).astype(np.uint8)


def vary_audio(mfcc: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """MFCC [13, n] with another channel (a constant a cepstrum), another level and some noise."""
    channel = rng.standard_normal((len(mfcc), 1)) * np.array([2.0] + [4.0] * (len(mfcc) - 1))[:, None]
    noise = rng.uniform(0, 2.5) * rng.standard_normal(mfcc.shape)
    varied: NDArray[np.float32] = (mfcc + channel + noise).astype(np.float32)
    return varied


def _cut(sample: Sample, params: SyncNetParams, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pictures [C, L, S, S] and MFCC [13, 4 L] of a random stretch of a clip."""
    start = int(rng.integers(0, sample.row.n_frames - params.clip_frames + 1))
    stop = start + params.clip_frames
    pictures = stored_pictures(sample, params.view)[start:stop]
    mfcc = sample.mfcc[:, start * FBANK_PER_FRAME : stop * FBANK_PER_FRAME]
    if params.augment:
        pictures, mfcc = vary_pictures(pictures, rng), vary_audio(mfcc, rng)
    seen = judge_pictures(pictures, params.model)
    return torch.from_numpy(seen).transpose(0, 1).float(), torch.from_numpy(mfcc)


@dataclass(frozen=True)
class SyncNetBatch:
    """Stretches of L frames: pictures [B, C, L, S, S], 0..255, and MFCC [B, 13, 4 L]."""

    pictures: Tensor
    mfcc: Tensor


class SyncNetTask(Task[SyncNetBatch]):
    """The judge on stretches of real clips.

    Raises:
        UserError: all clips are shorter than a stretch.
    """

    model: SyncNet

    def __init__(self, model: SyncNet, samples: SampleCache, params: SyncNetParams, *, seed: int) -> None:
        self.model, self.samples, self.params = model, samples, params
        self.optim, self.seed, self.device = params.optim, seed, torch_device()
        self.clips_of = batches_of(long_enough(samples, params.clip_frames), params.optim.batch_clips, seed)
        self.n_windows = params.clip_frames - LIP_WINDOW + 1
        self.weights = {"offset": 1.0, "accuracy": 0.0}

    def collate(self, numbers: list[int], rng: np.random.Generator) -> SyncNetBatch:
        pictures, mfcc = zip(*(_cut(self.samples[number], self.params, rng) for number in numbers), strict=True)
        return SyncNetBatch(torch.stack(pictures), torch.stack(mfcc))

    def counts(self, batch: SyncNetBatch) -> dict[str, float]:
        return {"offset": len(batch.mfcc), "accuracy": len(batch.mfcc)}

    def losses(self, batch: SyncNetBatch) -> dict[str, Tensor]:
        windows = torch.cat([audio_windows(mfcc, 0, self.n_windows) for mfcc in batch.mfcc]).to(self.device)
        lip = self.model.embed_lip_track(batch.pictures.to(self.device))
        audio = self.model.embed_audio(windows).reshape(len(batch.mfcc), self.n_windows, -1)
        loss = offset_loss(lip=lip, audio=audio, max_shift=self.params.max_shift)
        nearest = torch.cdist(lip.float(), audio.float()).argmin(-1)
        right = nearest == torch.arange(self.n_windows, device=self.device)
        return {"offset": loss, "accuracy": right.float().mean()}
