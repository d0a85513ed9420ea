"""The order of a stream by hand: lanes, stretches, ranks and what a saved state must agree in."""

from __future__ import annotations

import sys
from itertools import islice

import numpy as np
import pytest
from servers import write_small_shards

from synctalk.errors import UserError
from synctalk.shards import stream as streams
from synctalk.shards.read import ShardSet
from synctalk.shards.store import ByteRange
from synctalk.shards.stream import ShardStream, read_stretch

N = 12


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return ShardSet([write_small_shards(tmp_path_factory.mktemp("shards"), N)], ["train"])


def test_batches_are_dealt_to_lanes_in_turn() -> None:
    # 11 samples in batches of 3: 3 3 3 2; lane 0 has batches 0 and 3, lane 1 batch 1, lane 2 batch 2
    np.testing.assert_array_equal(streams._lane_sizes(11, 3, 3), [5, 3, 3])
    np.testing.assert_array_equal(streams._lane_sizes(12, 3, 2), [6, 6])
    np.testing.assert_array_equal(streams._lane_sizes(2, 3, 3), [2, 0, 0])


def test_a_stretch_ends_where_the_sum_of_bytes_passes_a_multiple() -> None:
    # begins 0 4 8 12 16 20 of ten bytes a stretch: 0 0 0 | 1 1 | 2
    np.testing.assert_array_equal(streams._stretch_ends(np.full(6, 4), 10), [3, 5, 6])
    # begins 0 25 26: the last two lie in the same ten, however long
    np.testing.assert_array_equal(streams._stretch_ends(np.array([25, 1, 30]), 10), [1, 3])
    np.testing.assert_array_equal(streams._stretch_ends(np.array([5, 5, 5]), 10), [2, 3])


@pytest.mark.parametrize(("batch", "n_batches"), [(1, 12), (4, 3), (5, 3), (12, 1), (13, 1)])
def test_an_epoch_has_as_many_batches_as_hold_all_samples(shards: ShardSet, batch: int, n_batches: int) -> None:
    stream = ShardStream(shards, batch=batch, seed=0)
    assert stream.batches_per_epoch == n_batches
    sizes = [len(samples) for samples in islice(stream, n_batches)]
    assert sizes == [batch] * (n_batches - 1) + [N - batch * (n_batches - 1)]


def test_ranks_count_epochs_together(shards: ShardSet) -> None:
    # three batches an epoch, two ranks: rank 0 has batches 0, 2, 4, rank 1 has 1, 3, 5
    first, second = (ShardStream(shards, batch=4, seed=0, rank=rank, n_ranks=2) for rank in (0, 1))
    assert [first.epoch(step) for step in range(4)] == [0, 0, 1, 2]
    assert [second.epoch(step) for step in range(4)] == [0, 1, 1, 2]


@pytest.mark.parametrize(("rank", "n_ranks"), [(-1, 2), (2, 2), (0, 0)])
def test_a_rank_that_there_is_not_is_refused(shards: ShardSet, rank: int, n_ranks: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} of {n_ranks}"):
        ShardStream(shards, batch=4, seed=0, rank=rank, n_ranks=n_ranks)


def test_a_state_names_all_that_the_order_depends_on(shards: ShardSet) -> None:
    own = {"batch": 4, "seed": 1, "lanes": 4, "buffer_bytes": 64 * 1024**2, "n_ranks": 1}
    stream = ShardStream(shards, batch=4, seed=1)
    assert stream.state_dict(7) == own | {"step": 7, "digest": shards.digest, "samples": N}
    for name, other in {"batch": 3, "seed": 2, "lanes": 2, "buffer_bytes": 9, "n_ranks": 2}.items():
        saved = ShardStream(shards, **(own | {name: other})).state_dict(5)
        with pytest.raises(UserError, match=f"was saved with another {name}; restore that, or begin a new run"):
            stream.load_state_dict(saved)
        assert stream.first_step == 0
    older = stream.state_dict(3)
    del older["digest"]
    with pytest.raises(UserError, match="another digest"):
        stream.load_state_dict(older)


def test_a_shuffle_is_drawn_for_each_lane_stretch_and_epoch(shards: ShardSet) -> None:
    def order(**options: int) -> list[str]:
        stream = ShardStream(shards, **({"batch": 6, "seed": 0, "lanes": 2, "buffer_bytes": 10**9} | options))
        return [sample.row.id for batch in islice(stream, 4) for sample in batch]

    both = order()
    first, second = both[:N], both[N:]
    assert sorted(first) == sorted(second) == sorted(row.id for row in shards.rows)
    assert first != second
    assert order(seed=1)[:N] != first
    # in smaller stretches, drawn one by one, the same samples come in another order
    assert sorted(order(buffer_bytes=20_000)[:N]) == sorted(first)
    assert order(buffer_bytes=20_000)[:N] != first


def test_neighbours_are_one_range_and_others_are_apart(shards: ShardSet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ByteRange] = []
    real = streams.read_ranges

    def read_ranges(ranges: list[ByteRange]) -> list[bytes]:
        asked.extend(ranges)
        return real(ranges)

    monkeypatch.setattr(streams, "read_ranges", read_ranges)
    begin = int(np.flatnonzero(shards.file == shards.file[0])[-1]) + 1
    # two neighbours; the first of the next shard; the one before it; one twice
    numbers = np.array([0, 1, begin, begin - 1, 2, 2])
    found = read_stretch(shards, numbers)
    assert [sample.row for sample in found] == [shards.rows[int(number)] for number in numbers]
    sizes, offsets = shards.size, shards.offset
    runs = {0: sizes[0] + sizes[1]} | {number: sizes[number] for number in (begin, begin - 1, 2)}
    assert asked == [
        ByteRange(shards.files[shards.file[first]], int(offsets[first]), int(runs[first]))
        for first in (0, begin, begin - 1, 2, 2)
    ]


def test_without_webdataset_it_is_said_what_to_install(shards: ShardSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset.tariterators", None)
    with pytest.raises(UserError, match="webdataset: is not installed; pip install webdataset, or read map-style"):
        read_stretch(shards, np.array([0]))
