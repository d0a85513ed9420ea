"""Samples of a shard set that stay decoded, and which of them are long enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synctalk.errors import UserError
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
