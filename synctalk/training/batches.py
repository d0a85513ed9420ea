"""Which clips make a batch: a pure function of (seed, step), so that a resumed run sees what a whole one sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from synctalk.errors import UserError
from synctalk.shards.cache import SampleCache


@lru_cache(maxsize=4)
def _permutation(n_clips: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(n_clips)


def batch_numbers(n_clips: int, batch: int, seed: int, step: int) -> list[int]:
    """Clips of batch `step`: one shuffled epoch after the other, without a gap between them."""
    return [
        int(_permutation(n_clips, seed, index // n_clips)[index % n_clips])
        for index in range(step * batch, (step + 1) * batch)
    ]


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
        for index, frames in enumerate(np.sort(self.classes)):
            if (index + 1 - begin) * frames > batch_frames:
                self.ends.append(index)
                begin = index
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
        epoch, index = divmod(step, len(self.ends))
        if epoch != self._epoch:
            order = _permutation(len(self.classes), self.seed, epoch)
            self._by_length = order[np.argsort(self.classes[order], kind="stable")]
            self._order = np.random.default_rng([self.seed, epoch, 1]).permutation(len(self.ends))
            self._epoch = epoch
        chosen = int(self._order[index])
        begin = self.ends[chosen - 1] if chosen else 0
        return [int(number) for number in self._by_length[begin : self.ends[chosen]]]


def batches_of(numbers: Sequence[int], batch_clips: int, seed: int) -> Callable[[int], list[int]]:
    """What gives the clips of every step, of those of `numbers`, as `batch_numbers`."""
    return lambda step: [numbers[index] for index in batch_numbers(len(numbers), batch_clips, seed, step)]


def batches(samples: SampleCache, batch_clips: int, batch_frames: int, seed: int) -> Callable[[int], list[int]]:
    """What gives the clips of every step: `FrameBatches`, or `batches_of` all clips where `batch_frames` is 0."""
    if batch_frames:
        return FrameBatches([row.n_frames for row in samples.shards.rows], batch_frames, seed)
    return batches_of(range(len(samples)), batch_clips, seed)


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
