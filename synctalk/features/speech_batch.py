"""Whole clips as AV-HuBERT and the lip readers take them.

Legend: B clips, T frames of the longest clip of the batch, S word pieces, R side of the mouth crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.features.fbank import normalise_fbank
from synctalk.features.noise import mix_fbank
from synctalk.features.roi_input import roi_input
from synctalk.features.tokens import Tokenizer, token_batch
from synctalk.models.lip_reader import EOS
from synctalk.params.section import section
from synctalk.shards.cache import SampleCache
from synctalk.shards.read import Sample


@dataclass(frozen=True)
class SpeechBatch:
    """Whole clips for AV-HuBERT and the lip reader.

    Attributes:
        numbers: which samples, [B].
        audio: normalised log filterbank, float32 [B, T, 104]; zeros in padding.
        video: standardised grey mouth crops, float32 [B, 1, T, R, R]; zeros in padding.
        padding: bool [B, T], true where there is no frame.
        n_frames: int64 [B].
        target: word pieces, EOS at the end, int64 [B, S].
        decoder_input: the same shifted by one, int64 [B, S].
    """

    numbers: list[int]
    audio: Tensor
    video: Tensor
    padding: Tensor
    n_frames: Tensor
    target: Tensor
    decoder_input: Tensor


def pad_stack(rows: Sequence[Tensor]) -> Tensor:
    """Rows [T_i, ...] as [B, max T_i, ...], zeros where there is nothing."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)


def mouth_input(mouth: NDArray[np.uint8], crop: int, rng: np.random.Generator | None = None) -> Tensor:
    """Grey mouth regions uint8 [T, R, R] as the video input [T, crop, crop] of a lip reader.

    The middle is cut; with `rng` one random position and one random flip for the whole clip instead (AV-HuBERT's
    augmentation).
    """
    if rng is None:
        return torch.from_numpy(roi_input(mouth, crop))
    top, left = rng.integers(0, mouth.shape[1] - crop + 1, size=2)
    cut = mouth[:, top : top + crop, left : left + crop]
    return torch.from_numpy(roi_input(cut[..., ::-1] if rng.integers(2) else cut, crop))


@section
class NoiseParams:
    """Other voices in the audio of a clip (params.yaml: `pretrain.iterations.<name>.noise`).

    AV-HuBERT's noise-augmented pre-training takes 0.25, 0 dB, babble of many voices; its labels come from clean audio.
    """

    prob: float = 0.0
    """Share of the clips that get noise; 0 = none."""
    low_db: float = 0.0
    high_db: float = 0.0
    """Signal-to-noise ratio, drawn evenly between the two."""
    voices: int = 1
    """Clips whose audio is the noise of one."""


def noisy_fbank(
    samples: SampleCache, number: int, params: NoiseParams, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Log filterbank of sample `number`, with the voices of other samples in it as often as `params` says, [T, 104]."""
    clean = samples[number].fbank
    if rng.random() >= params.prob or len(samples) < 2:
        return clean
    others = (number + rng.integers(1, len(samples), size=params.voices)) % len(samples)
    voices = samples.read([int(other) for other in others])
    return mix_fbank(clean, [sample.fbank for sample in voices], rng.uniform(params.low_db, params.high_db))


def speech_batch(
    samples: SampleCache,
    numbers: list[int],
    *,
    crop: int,
    tokenizer: Tokenizer | None = None,
    rng: np.random.Generator | None = None,
    with_video: bool = True,
    noise: NoiseParams | None = None,
) -> SpeechBatch:
    """Read the clips `numbers` and collate them as `collate_speech`; `noise`, drawn by `rng`, goes into their audio."""
    chosen = samples.read(numbers)
    batch = collate_speech(chosen, numbers, crop=crop, tokenizer=tokenizer, rng=rng, with_video=with_video)
    if noise is None or rng is None or not noise.prob:
        return batch
    noisy = [torch.from_numpy(normalise_fbank(noisy_fbank(samples, number, noise, rng))) for number in numbers]
    return replace(batch, audio=pad_stack(noisy))


def collate_speech(
    chosen: Sequence[Sample],
    numbers: list[int],
    *,
    crop: int,
    tokenizer: Tokenizer | None = None,
    rng: np.random.Generator | None = None,
    with_video: bool = True,
) -> SpeechBatch:
    """Collate whole clips.

    Args:
        chosen: the clips.
        numbers: of the clips in their sample cache.
        crop: side of the video input, pixels.
        tokenizer: makes the targets; without one they are empty.
        rng: augments the video where given.
        with_video: false leaves the video empty, where a frozen front end's output is at hand.
    """
    n_frames = torch.tensor([sample.row.n_frames for sample in chosen])
    padding = torch.arange(int(n_frames.max()))[None] >= n_frames[:, None]
    video = [mouth_input(sample.mouth, crop, rng) for sample in chosen] if with_video else [torch.zeros(1, crop, crop)]
    tokens = [tokenizer.encode(sample.row.transcript) if tokenizer else [EOS] for sample in chosen]
    target, decoder_input = token_batch(tokens)
    return SpeechBatch(
        numbers=numbers,
        audio=pad_stack([torch.from_numpy(normalise_fbank(sample.fbank)) for sample in chosen]),
        video=pad_stack(video)[:, None],
        padding=padding,
        n_frames=n_frames,
        target=target,
        decoder_input=decoder_input,
    )
