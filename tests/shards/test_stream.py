"""Streaming: every sample once an epoch, shuffled, the same samples as map-style, and the same again from any step."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import webdataset
from servers import http_server, s3_server, write_small_shards
from torch.utils.data import DataLoader

from synctalk.errors import UserError
from synctalk.shards.read import Sample, ShardSet
from synctalk.shards.stream import ShardStream, read_stretch

N = 53
BATCH = 4
PER_EPOCH = 14
"""Batches of an epoch: 13 of four samples and one of one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_shards(tmp_path_factory.mktemp("shards") / "lrs2", N)


@pytest.fixture(scope="module")
def shards(folder: Path) -> ShardSet:
    return ShardSet([folder], ["train"])


def stream(shards: ShardSet, **options: int) -> ShardStream:
    """Buffers of a few samples, so that an epoch has many stretches."""
    return ShardStream(shards, **({"batch": BATCH, "seed": 3, "buffer_bytes": 30_000} | options))


def ids(samples: list[Sample]) -> list[int]:
    return [int(sample.fbank[0, 0]) for sample in samples]


def flat(batches: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(batches))


def run(source: ShardStream, n_batches: int, n_workers: int = 0) -> list[list[int]]:
    """Numbers of the samples of the next batches."""
    loader = DataLoader(source, batch_size=None, num_workers=n_workers, collate_fn=ids)
    return [list(batch) for batch in islice(loader, n_batches)]


def test_every_sample_comes_once_an_epoch_and_epochs_differ(shards: ShardSet) -> None:
    batches = run(stream(shards), 3 * PER_EPOCH)
    assert [len(batch) for batch in batches] == ([BATCH] * 13 + [1]) * 3
    epochs = [flat(batches[begin : begin + PER_EPOCH]) for begin in range(0, 3 * PER_EPOCH, PER_EPOCH)]
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [stream(shards).epoch(step) for step in (0, 13, 14, 41)] == [0, 0, 1, 2]


def test_the_order_depends_on_the_seed_alone(shards: ShardSet) -> None:
    assert run(stream(shards), 20) == run(stream(shards), 20)
    assert run(stream(shards), 20) != run(stream(shards, seed=4), 20)


def test_shards_and_neighbours_are_shuffled(folder: Path, shards: ShardSet) -> None:
    numbers = flat(run(stream(shards, lanes=1), PER_EPOCH))
    order = [int(shards.file[number]) for number in numbers]
    visited = list(dict.fromkeys(order))
    assert len(visited) == len(shards.files) > 5
    assert visited != sorted(visited)
    # one lane shuffles within its buffer: neighbours of a shard come near each other, in another order
    first = [number for number in numbers if shards.file[number] == visited[0]]
    assert first != sorted(first)
    indices = [index for index, number in enumerate(numbers) if shards.file[number] == visited[0]]
    assert max(indices) - min(indices) < 3 * len(indices)


def test_streamed_samples_are_those_of_map_style(shards: ShardSet) -> None:
    streamed = list(chain.from_iterable(islice(iter(stream(shards)), PER_EPOCH)))
    assert len(streamed) == N
    by_id = {row.id: number for number, row in enumerate(shards.rows)}
    for sample in streamed:
        other = shards[by_id[sample.row.id]]
        assert (sample.row, sample.members) == (other.row, other.members)
        np.testing.assert_array_equal(sample.mouth, other.mouth)
        np.testing.assert_array_equal(sample.boxes, other.boxes)
        assert sample.about == other.about


@pytest.mark.parametrize("n_workers", [1, 2])
def test_workers_change_nothing(shards: ShardSet, n_workers: int) -> None:
    assert run(stream(shards), 3 * PER_EPOCH, n_workers) == run(stream(shards), 3 * PER_EPOCH)


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [*((step, 0, 2) for step in (1, 5, 13, 14, 17, 31)), (13, 2, 2), (5, 2, 0), (17, 2, 1)],
)
def test_a_run_goes_on_as_if_it_had_not_been_interrupted(shards: ShardSet, step: int, before: int, after: int) -> None:
    whole = run(stream(shards), 40)
    assert run(stream(shards), step, before) == whole[:step]
    state = json.loads(json.dumps(stream(shards).state_dict(step)))
    resumed = stream(shards)
    resumed.load_state_dict(state)
    assert run(resumed, 40 - step, after) == whole[step:]


@pytest.mark.parametrize("n_ranks", [2, 3, 5])
def test_ranks_share_an_epoch_without_loss_or_duplicates(shards: ShardSet, n_ranks: int) -> None:
    parts = [
        run(stream(shards, rank=rank, n_ranks=n_ranks, lanes=2), 3 * PER_EPOCH, 2 * (rank == 1))
        for rank in range(n_ranks)
    ]
    # batch b of all is batch b // n_ranks of rank b mod n_ranks
    together = [parts[b % n_ranks][b // n_ranks] for b in range(3 * PER_EPOCH)]
    for begin in range(0, 3 * PER_EPOCH, PER_EPOCH):
        assert Counter(flat(together[begin : begin + PER_EPOCH])) == Counter(range(N))
    resumed = stream(shards, rank=1, n_ranks=n_ranks, lanes=2, first_step=7)
    assert run(resumed, 10) == parts[1][7:17]


@pytest.mark.parametrize("lanes", [1, 3, 50])
def test_any_number_of_lanes_gives_whole_epochs(shards: ShardSet, lanes: int) -> None:
    batches = run(stream(shards, lanes=lanes), 2 * PER_EPOCH)
    assert sorted(flat(batches[PER_EPOCH:])) == list(range(N))


def test_workers_that_do_not_fit_the_lanes_are_refused(shards: ShardSet) -> None:
    # torch wraps what a worker raises
    with pytest.raises(RuntimeError, match="stream: 3 lanes cannot be dealt to 2 workers; make one a multiple"):
        run(stream(shards, lanes=3), 1, 2)


def test_a_state_of_another_order_is_refused(shards: ShardSet, tmp_path: Path) -> None:
    state = stream(shards).state_dict(5)
    with pytest.raises(UserError, match="another seed and lanes"):
        stream(shards, seed=9, lanes=8).load_state_dict(state)
    other = ShardSet([write_small_shards(tmp_path / "other", N - 1)], ["train"])
    with pytest.raises(UserError, match="another digest"):
        stream(other).load_state_dict(state)


def test_a_lane_holds_one_stretch_and_asks_for_it_at_once(folder: Path, shards: ShardSet) -> None:
    with http_server(folder.parent) as (address, handler):
        there = ShardSet([f"{address}/lrs2"], ["train"])
        handler.asked.clear()
        batches = run(stream(there, buffer_bytes=10**9, lanes=2), PER_EPOCH)
    assert batches == run(stream(shards, buffer_bytes=10**9, lanes=2), PER_EPOCH)
    # one request a shard, and one more where the lanes meet inside a shard
    assert len(handler.asked) <= len(shards.files) + 1


def test_damage_is_noticed_and_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "lrs2"))
    shard = copy / "train-00001.tar"
    blob = bytearray(shard.read_bytes())
    blob[700] ^= 1
    shard.write_bytes(bytes(blob))
    with pytest.raises(UserError, match=r"train-00001\.tar: sample main/.* is not what the index says"):
        run(stream(ShardSet([copy], ["train"])), PER_EPOCH)
    shard.write_bytes(bytes(blob[:900]))
    with pytest.raises(UserError, match=r"train-00001\.tar: is truncated"):
        run(stream(ShardSet([copy], ["train"])), PER_EPOCH)


def keys(source: webdataset.WebDataset) -> Iterator[tuple[str, dict[str, bytes]]]:
    for sample in source:
        yield sample["__key__"], {name: value for name, value in sample.items() if not name.startswith("__")}


@pytest.mark.parametrize("ranges", [True, False])
def test_webdataset_itself_streams_the_same_from_a_web_server(folder: Path, shards: ShardSet, ranges: bool) -> None:
    if shutil.which("curl") is None:
        pytest.skip("webdataset reads URLs by curl, which is not here")
    with http_server(folder.parent, ranges=ranges) as (address, _):
        urls = [f"{address}/lrs2/{path.name}" for path in sorted(folder.glob("*.tar"))]
        seen = list(keys(webdataset.WebDataset(urls, shardshuffle=False)))
    assert seen == [(sample.row.key, sample.members) for sample in shards.read(range(N))]


def test_webdataset_itself_streams_the_same_from_a_bucket(folder: Path, shards: ShardSet) -> None:
    import s3fs

    with s3_server() as endpoint:
        store = s3fs.S3FileSystem(key="testing", secret="testing", endpoint_url=endpoint, skip_instance_cache=True)
        store.mkdir("bucket")
        store.put(str(folder), "bucket/lrs2", recursive=True)
        urls = sorted(store.glob("bucket/lrs2/*.tar"))
        pipeline = webdataset.DataPipeline(
            lambda: ({"url": url, "stream": store.open(url)} for url in urls),
            webdataset.tariterators.tar_file_expander,
            webdataset.tariterators.group_by_keys,
        )
        seen = list(keys(pipeline))
    assert seen == [(sample.row.key, sample.members) for sample in shards.read(range(N))]


def test_stretches_may_lie_anywhere(shards: ShardSet) -> None:
    numbers = np.array([5, 6, 7, 20, 21, 3, 2, 52])
    assert ids(read_stretch(shards, numbers)) == numbers.tolist()
    assert read_stretch(shards, numbers[:0]) == []
