"""Streaming: batches out of whole stretches of shards, shuffled, without end, and the same again from any step on.

Reading sample by sample costs an object store one request a clip; here a request is as long as the buffer allows. The
order is arithmetic on the index, so that a run is resumed by its step alone, whatever the count of workers:

    epoch      all samples once: shards in an order drawn from (seed, epoch), cut into lanes of neighbouring samples
    lane       cut into stretches of at most `buffer_bytes`, each shuffled by (seed, epoch, lane, stretch)
    batch b    the next samples of lane b mod lanes; batch b of an epoch goes to rank b mod ranks
    worker     takes every n-th step of its rank, thus whole lanes: no other worker reads them

Tars are parsed by webdataset; torch's `DataLoader` runs the workers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from synctalk.errors import UserError
from synctalk.shards.read import Sample, ShardSet, require_intact
from synctalk.shards.records import IndexRow
from synctalk.shards.store import ByteRange, Location, read_ranges


class ShardStream(IterableDataset[list[Sample]]):
    """Endless batches of a shard set, for `DataLoader(stream, batch_size=None, num_workers=n)`.

    Every sample comes once an epoch over all ranks; the last batch of an epoch is smaller where the samples do not
    divide. Resume by `first_step`, or by `state_dict` of the step and `load_state_dict`.

    Args:
        shards: the samples.
        batch: samples of a batch.
        seed: of the order.
        lanes: stretches of a rank that are open at a time; a multiple of the workers.
        buffer_bytes: of each lane in memory; the larger, the better shuffled and the longer the requests.
        rank, n_ranks: of this process among those that train together.
        first_step: number of the first batch of this rank.
    """

    def __init__(
        self,
        shards: ShardSet,
        *,
        batch: int,
        seed: int,
        lanes: int = 4,
        buffer_bytes: int = 64 * 1024**2,
        rank: int = 0,
        n_ranks: int = 1,
        first_step: int = 0,
    ) -> None:
        super().__init__()
        self.shards, self.batch, self.seed = shards, batch, seed
        self.lanes, self.buffer_bytes = lanes, buffer_bytes
        if not 0 <= rank < n_ranks:
            raise ValueError(f"rank {rank} of {n_ranks}")
        self.rank, self.n_ranks = rank, n_ranks
        self.first_step = first_step
        self.batches_per_epoch = -(-len(shards) // batch)

    def epoch(self, step: int) -> int:
        """Epoch of this rank's batch `step`."""
        return (step * self.n_ranks + self.rank) // self.batches_per_epoch

    def state_dict(self, step: int) -> dict[str, Any]:
        """What goes on with batch `step`: the step, and what the order depends on besides."""
        return {
            "step": step,
            "digest": self.shards.digest,
            "samples": len(self.shards),
            "batch": self.batch,
            "seed": self.seed,
            "lanes": self.lanes,
            "buffer_bytes": self.buffer_bytes,
            "n_ranks": self.n_ranks,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with any count of workers.

        Raises:
            UserError: it belongs to other shards or another order, so that the run would not be the same.
        """
        here = self.state_dict(state["step"])
        if other := [name for name in here if state.get(name) != here[name]]:
            raise UserError(
                "stream", f"was saved with another {' and '.join(other)}", "restore that, or begin a new run at step 0"
            )
        self.first_step = state["step"]

    def __iter__(self) -> Iterator[list[Sample]]:
        info = get_worker_info()
        worker, n_workers = (info.id, info.num_workers) if info else (0, 1)
        if self.lanes % n_workers:
            raise UserError(
                "stream",
                f"{self.lanes} lanes cannot be dealt to {n_workers} workers",
                "make one a multiple of the other",
            )
        open_lanes: dict[int, _Lane] = {}
        current, sequence = -1, np.zeros(0, np.int64)
        for step in count(self.first_step + worker, n_workers):
            epoch, number = divmod(step * self.n_ranks + self.rank, self.batches_per_epoch)
            if epoch != current:
                current, sequence = epoch, self._sequence(epoch)
                open_lanes.clear()
            turn, lane = divmod(number, self.lanes * self.n_ranks)
            if lane not in open_lanes:
                open_lanes[lane] = _Lane(self, sequence, epoch, lane)
            yield open_lanes[lane].read(turn)

    def _sequence(self, epoch: int) -> NDArray[np.int64]:
        """All samples of an epoch: whole shards, one after the other, in an order drawn from (seed, epoch)."""
        rank = np.random.default_rng([self.seed, epoch]).permutation(len(self.shards.files))
        return np.argsort(rank[self.shards.file], kind="stable")


class _Lane:
    """A lane of an epoch: neighbours of the epoch's sequence, read stretch by stretch."""

    def __init__(self, stream: ShardStream, sequence: NDArray[np.int64], epoch: int, lane: int) -> None:
        sizes = _lane_sizes(len(sequence), stream.batch, stream.lanes * stream.n_ranks)
        begin = int(sizes[:lane].sum())
        self.shards, self.batch, self.seed = stream.shards, stream.batch, (stream.seed, epoch, lane)
        self.numbers = sequence[begin : begin + int(sizes[lane])]
        self.ends = _stretch_ends(stream.shards.size[self.numbers], stream.buffer_bytes)
        self.loaded: dict[int, Sample] = {}

    def read(self, turn: int) -> list[Sample]:
        """Batch `turn` of this lane."""
        first = turn * self.batch
        return [self._take(index) for index in range(first, min(first + self.batch, len(self.numbers)))]

    def _take(self, index: int) -> Sample:
        """The sample at an index of the lane; forgotten here, so that what is decoded of it is not kept."""
        if index not in self.loaded:
            stretch = int(np.searchsorted(self.ends, index, side="right"))
            begin, end = int(self.ends[stretch - 1]) if stretch else 0, int(self.ends[stretch])
            order = np.random.default_rng([*self.seed, stretch]).permutation(end - begin)
            self.loaded.clear()
            samples = read_stretch(self.shards, self.numbers[begin:end])
            self.loaded = {begin + turn: samples[drawn] for turn, drawn in enumerate(order)}
        return self.loaded.pop(index)


def _lane_sizes(n_samples: int, batch: int, n_lanes: int) -> NDArray[np.int64]:
    """Samples of each lane, int64 [lanes]: those of its batches, b = lane, lane + n_lanes, ..."""
    starts = np.arange(0, n_samples, batch)
    return np.bincount(
        np.arange(len(starts)) % n_lanes, weights=np.minimum(batch, n_samples - starts), minlength=n_lanes
    ).astype(np.int64)


def _stretch_ends(sizes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Ends of stretches of neighbours that begin within the same `most` bytes of their sum."""
    begins = np.cumsum(sizes) - sizes
    return np.append(np.flatnonzero(np.diff(begins // most)) + 1, len(sizes))


def read_stretch(shards: ShardSet, numbers: NDArray[np.int64]) -> list[Sample]:
    """Samples `numbers`, one range of bytes for each run of neighbours in a shard; checked as map-style reading does.

    Raises:
        UserError: a shard is missing, truncated or altered, may not be read, or the network failed too often.
    """
    if not len(numbers):
        return []
    follows = (np.diff(shards.file[numbers]) == 0) & (
        shards.offset[numbers[1:]] == shards.offset[numbers[:-1]] + shards.size[numbers[:-1]]
    )
    runs = np.split(numbers, np.flatnonzero(~follows) + 1)
    ranges = [
        ByteRange(shards.files[shards.file[run[0]]], int(shards.offset[run[0]]), int(shards.size[run].sum()))
        for run in runs
    ]
    samples: list[Sample] = []
    for run, wanted, blob in zip(runs, ranges, read_ranges(ranges), strict=True):
        samples += _parse([shards.rows[number] for number in run.tolist()], wanted.location, blob)
    return samples


def _parse(rows: Sequence[IndexRow], location: Location, blob: bytes) -> list[Sample]:
    """Samples of neighbouring rows from the bytes that hold them."""
    try:
        from webdataset.tariterators import group_by_keys, tar_file_expander
    except ImportError as error:
        raise UserError("webdataset", "is not installed", "pip install webdataset, or read map-style") from error
    for row in rows:
        begin = row.offset - rows[0].offset
        require_intact(row, location, blob[begin : begin + row.size])
    found = group_by_keys(tar_file_expander([{"url": str(location), "stream": io.BytesIO(blob)}]))
    return [
        Sample(row, {name: value for name, value in members.items() if not name.startswith("__")})
        for row, members in zip(rows, found, strict=True)
    ]
