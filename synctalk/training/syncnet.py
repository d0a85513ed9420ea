"""Training of the SyncNet judge behind LSE, where the published one is not at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.losses.offset import offset_loss
from synctalk.models.syncnet import LIP_WINDOW, SyncNet, SyncNetConfig, audio_windows
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.shards.read import Sample
from synctalk.timebase import FBANK_PER_FRAME
from synctalk.training.data import SampleCache, batch_numbers, long_enough
from synctalk.training.loop import TrainState, run_steps
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.step import training_step

View = Literal["frame", "face", "tracked", "mouth"]
MIN_BLUR = 0.4
"""Blurs of a smaller sigma, pixels, are left out."""


@section
class SyncNetParams:
    """The judge of synchronisation (params.yaml: `syncnet`)."""

    checkpoint: str = ""
    """Published weights to take as they are (`syncnet_v2.model`); "" trains the judge here."""
    view: View
    """What it sees: the whole `frame`, SyncNet's own crop `tracked`, or our crops `face` or `mouth`. `frame` is
    Wav2Lip's protocol for LRS, as in the paper; `tracked` is for footage in the wild.
    """
    model: SyncNetConfig
    corpora: tuple[str, ...]
    optim: OptimParams
    clip_frames: int = 36
    """Frames cut from each clip of a batch; shorter clips are not taken."""
    max_shift: int = 15
    """Shifts that compete in training, frames."""
    augment: bool = True
    """Vary position, size, light and noise, so that the net carries over to other footage."""


def judge_pictures(pictures: NDArray[np.uint8], config: SyncNetConfig) -> NDArray[np.uint8]:
    """Pictures as the judge sees them: resized to its image size, BGR or grey, channels first.

    Args:
        pictures: RGB uint8 [T, H, W, 3] or grey uint8 [T, H, W].
        config: says size and channels.

    Returns:
        uint8 [T, C, S, S], C = 3 (BGR) or 1.
    """
    size = (config.image_size, config.image_size)
    if pictures.ndim == 4 and config.in_channels == 1:
        pictures = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures])
    if pictures.shape[1:3] != size:
        pictures = np.stack([cv2.resize(picture, size) for picture in pictures])
    if pictures.ndim == 3:
        return np.ascontiguousarray(pictures[:, None])
    return np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2))


def stored_pictures(sample: Sample, view: View) -> NDArray[np.uint8]:
    """The pictures of a shard sample that a view is made of.

    Raises:
        ValueError: whole frames are not in shards.
    """
    if view in ("frame", "tracked"):
        raise ValueError("syncnet.view: whole frames are not in shards; give a checkpoint, or train on face or mouth")
    return sample.mouth if view == "mouth" else sample.faces


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


def vary_sound(mfcc: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
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
        pictures, mfcc = vary_pictures(pictures, rng), vary_sound(mfcc, rng)
    seen = judge_pictures(pictures, params.model)
    return torch.from_numpy(seen).transpose(0, 1).float(), torch.from_numpy(mfcc)


def train_syncnet(
    model: SyncNet, samples: SampleCache, params: SyncNetParams, *, seed: int, folder: Path
) -> TrainState:
    """Train the judge in place. `seed` draws batches and stretches, `folder` is scratch for the checkpoint.

    Raises:
        UserError: all clips are shorter than a stretch.
    """
    device = torch_device()
    model.to(device).train()
    optimizer = Optimizer(model.parameters(), params.optim)
    state = TrainState(modules={"model": model}, optimizers={"adam": optimizer})
    usable = long_enough(samples, params.clip_frames)
    n_windows = params.clip_frames - LIP_WINDOW + 1

    def collate(numbers: list[int], rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
        return [_cut(samples[usable[number]], params, rng) for number in numbers]

    def losses(cuts: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        lips = torch.stack([pictures for pictures, _ in cuts]).to(device)
        sound = torch.cat([audio_windows(mfcc, 0, n_windows) for _, mfcc in cuts]).to(device)
        lip = model.embed_lip_track(lips)
        audio = model.embed_audio(sound).reshape(len(cuts), n_windows, -1)
        loss = offset_loss(lip=lip, audio=audio, max_shift=params.max_shift)
        right = torch.cdist(lip.float(), audio.float()).argmin(-1) == torch.arange(n_windows, device=device)
        return {"offset": loss, "accuracy": right.float().mean()}

    def train_step(step: int) -> dict[str, float]:
        return training_step(
            optimizer,
            step,
            batch_numbers(len(usable), params.optim.batch_clips, seed, step),
            seed=seed,
            collate=collate,
            counts=lambda cuts: {"offset": len(cuts), "accuracy": len(cuts)},
            losses=losses,
            weights={"offset": 1.0, "accuracy": 0.0},
        )

    run_steps(state, params.optim.steps, train_step, seed=seed, folder=folder, label="sync expert")
    model.cpu().eval()
    return state
