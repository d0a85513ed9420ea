"""Batches for training, each a pure function of (seed, step), so that a resumed run sees what an uninterrupted one
sees.

Legend: B clips, T frames of the longest clip of the batch, R side of the mouth crop, S side of a face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from synctalk.errors import UserError
from synctalk.features import mix_fbank, normalise_fbank
from synctalk.features.roi_input import roi_input
from synctalk.features.tokens import Tokenizer, token_batch
from synctalk.models.lip_reader import EOS
from synctalk.params.section import section
from synctalk.shards.read import Sample, ShardSet

TRAIN_SPLITS = ("pretrain", "train")
"""Splits that training sees."""

CACHE_BYTES = 2 * 1024**3
"""Decoded samples that are kept in memory; beyond this every use decodes again."""


class SampleCache:
    """Samples of a shard set that stay decoded while they fit in `CACHE_BYTES`."""

    def __init__(self, shards: ShardSet) -> None:
        self.shards = shards
        self._kept: dict[int, Sample] = {}
        self._free = CACHE_BYTES

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> Sample:
        return self.read([number])[0]

    def read(self, numbers: Sequence[int]) -> list[Sample]:
        """Samples `numbers`; those that are not kept are read together."""
        missing = [number for number in dict.fromkeys(numbers) if number not in self._kept]
        fresh = dict(zip(missing, self.shards.read(missing), strict=True))
        for number, sample in fresh.items():
            # a decoded mosaic is about ten times its JPEG
            self._free -= 10 * sample.row.size
            if self._free > 0:
                self._kept[number] = sample
        return [fresh[number] if number in fresh else self._kept[number] for number in numbers]

    def keeps(self, number: int) -> bool:
        """Whether the sample stays in memory once it is decoded; it must have been asked for before."""
        return number in self._kept


def long_enough(samples: SampleCache, n_frames: int) -> list[int]:
    """Numbers of the clips that have at least `n_frames` frames.

    Raises:
        UserError: no clip has.
    """
    found: list[int] = np.flatnonzero(samples.shards.rows.numbers("n_frames") >= n_frames).tolist()
    if not found:
        folders = ", ".join(sorted({str(file).rpartition("/")[0] for file in samples.shards.files}))
        raise UserError(folders, f"no clip has {n_frames} frames", "add longer clips, or train on shorter windows")
    return found


@lru_cache(maxsize=4)
def _permutation(n_clips: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(n_clips)


def batch_numbers(n_clips: int, batch: int, seed: int, step: int) -> list[int]:
    """Clips of batch `step`: one shuffled epoch after the other, without a gap between them."""
    places = range(step * batch, (step + 1) * batch)
    return [int(_permutation(n_clips, seed, place // n_clips)[place % n_clips]) for place in places]


def length_classes(n_frames: Sequence[int]) -> NDArray[np.int64]:
    """Frames that each clip counts as: the upper end of its class, at most an eighth above the class before it.

    The last class ends with the longest clip.
    """
    ends = [1]
    while ends[-1] < max(n_frames):
        ends.append(ends[-1] + max(1, ends[-1] // 8))
    ends[-1] = max(n_frames)
    found: NDArray[np.int64] = np.array(ends)[np.searchsorted(ends, n_frames)]
    return found


class FrameBatches:
    """Batches of clips of like length, each as many clips as fit into `batch_frames` padded frames.

    Clips are sorted by length class, those of a class in an order that is drawn anew each epoch, cut into batches, and
    the batches shuffled. The classes' ends alone say where to cut, so that every epoch has as many batches and a step's
    batch follows from its number.

    Args:
        n_frames: of every clip.
        batch_frames: clips of a batch times the longest of them, at most.
        seed: of the order.

    Raises:
        UserError: a clip is longer than a batch.
    """

    def __init__(self, n_frames: Sequence[int], batch_frames: int, seed: int) -> None:
        self.classes = length_classes(n_frames)
        self.seed = seed
        if self.classes.max() > batch_frames:
            raise UserError(
                f"batch_frames: {batch_frames}",
                f"a clip of {max(n_frames)} frames does not fit",
                "raise batch_frames, or lower max_segment_s of the corpus",
            )
        self.ends: list[int] = []
        begin = 0
        for place, frames in enumerate(np.sort(self.classes)):
            if (place + 1 - begin) * frames > batch_frames:
                self.ends.append(place)
                begin = place
        self.ends.append(len(self.classes))
        self._level_last(batch_frames)
        self._epoch = -1

    def _level_last(self, batch_frames: int) -> None:
        """Let the last batch, of what was left over, take clips of the one before it: processes share every batch."""
        if len(self.ends) == 1:
            return
        before, cut, end = [0, *self.ends][-3:]
        while end - cut + 1 < cut - before and (end - cut + 1) * self.classes.max() <= batch_frames:
            cut -= 1
        self.ends[-2] = cut

    def __call__(self, step: int) -> list[int]:
        """Clips of batch `step`, from 0."""
        epoch, place = divmod(step, len(self.ends))
        if epoch != self._epoch:
            order = _permutation(len(self.classes), self.seed, epoch)
            self._by_length = order[np.argsort(self.classes[order], kind="stable")]
            self._places = np.random.default_rng([self.seed, epoch, 1]).permutation(len(self.ends))
            self._epoch = epoch
        chosen = int(self._places[place])
        begin = self.ends[chosen - 1] if chosen else 0
        return [int(number) for number in self._by_length[begin : self.ends[chosen]]]


def batches(samples: SampleCache, batch_clips: int, batch_frames: int, seed: int) -> Callable[[int], list[int]]:
    """What gives the clips of every step: `FrameBatches`, or `batch_numbers` where `batch_frames` is 0."""
    if batch_frames:
        return FrameBatches([row.n_frames for row in samples.shards.rows], batch_frames, seed)
    return lambda step: batch_numbers(len(samples), batch_clips, seed, step)


class StepSampler(Sampler[list[int]]):
    """`batch_numbers` of one step after the other, without end: the same batches from any step on and for any count of
    workers, as `DataLoader(shards, batch_sampler=StepSampler(...), num_workers=n)`.

    Args:
        n_clips: samples of the shard set.
        batch: of a step.
        seed: of the order.
        first_step: where to begin or to go on.
    """

    def __init__(self, n_clips: int, batch: int, seed: int, first_step: int = 0) -> None:
        self.n_clips, self.batch, self.seed, self.first_step = n_clips, batch, seed, first_step

    def __iter__(self) -> Iterator[list[int]]:
        return (batch_numbers(self.n_clips, self.batch, self.seed, step) for step in count(self.first_step))


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

    The middle is cut; with `rng` one random place and one random flip for the whole clip instead (AV-HuBERT's
    augmentation).
    """
    if rng is None:
        return torch.from_numpy(roi_input(mouth, crop))
    top, left = rng.integers(0, mouth.shape[1] - crop + 1, size=2)
    cut = mouth[:, top : top + crop, left : left + crop]
    return torch.from_numpy(roi_input(cut[..., ::-1] if rng.integers(2) else cut, crop))


@section
class NoiseParams:
    """Other voices in the sound of a clip (params.yaml: `pretrain.iterations.<name>.noise`).

    AV-HuBERT's noise-augmented pre-training takes 0.25, 0 dB, babble of many voices; its labels come from clean sound.
    """

    prob: float = 0.0
    """Share of the clips that get noise; 0 = none."""
    low_db: float = 0.0
    high_db: float = 0.0
    """Signal-to-noise ratio, drawn evenly between the two."""
    voices: int = 1
    """Clips whose sound is the noise of one."""


def noisy_fbank(
    samples: SampleCache, number: int, params: NoiseParams, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Log filterbank of sample `number`, with the voices of other samples in it as often as `params` says, [T, 104]."""
    clean = samples[number].fbank
    if rng.random() >= params.prob or len(samples) < 2:
        return clean
    others = (number + rng.integers(1, len(samples), size=params.voices)) % len(samples)
    heard = samples.read([int(other) for other in others])
    return mix_fbank(clean, [sample.fbank for sample in heard], rng.uniform(params.low_db, params.high_db))


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
    """Read the clips `numbers` and collate them as `collate_speech`; `noise`, drawn by `rng`, goes into their sound."""
    chosen = samples.read(numbers)
    batch = collate_speech(chosen, numbers, crop=crop, tokenizer=tokenizer, rng=rng, with_video=with_video)
    if noise is None or rng is None or not noise.prob:
        return batch
    heard = [torch.from_numpy(normalise_fbank(noisy_fbank(samples, number, noise, rng))) for number in numbers]
    return replace(batch, audio=pad_stack(heard))


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
