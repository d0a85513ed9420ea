"""Shards on disk, on a web server, in an S3 bucket: the same samples, and one clear line where something is wrong."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers import Handler, http_server, s3_server, write_small_shards
from torch.utils.data import DataLoader

from synctalk.errors import UserError
from synctalk.shards import store
from synctalk.shards.read import Sample, ShardSet
from synctalk.shards.records import INDEX_SCHEMA

N = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_shards(tmp_path_factory.mktemp("shards") / "lrs2", N)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FIRST_WAIT_S", 0.0)


@pytest.fixture
def web(folder: Path) -> Iterator[tuple[str, type[Handler]]]:
    with http_server(folder.parent) as (address, handler):
        yield f"{address}/lrs2", handler


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[str]:
    import boto3
    from fsspec import filesystem

    with s3_server() as endpoint, pytest.MonkeyPatch.context() as environment:
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", endpoint),
        ):
            environment.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="shards")
        for path in sorted(folder.iterdir()):
            client.put_object(Bucket="shards", Key=f"lrs2/{path.name}", Body=path.read_bytes())
        yield "s3://shards/lrs2"
        filesystem("s3").clear_instance_cache()


def assert_same(one: Sample, other: Sample) -> None:
    assert one.row == other.row
    assert one.members == other.members
    np.testing.assert_array_equal(one.fbank, other.fbank)


def test_a_web_server_gives_what_the_disk_gives_by_byte_ranges(folder: Path, web: tuple[str, type[Handler]]) -> None:
    address, handler = web
    disk, there = ShardSet([folder], ["train"]), ShardSet([address], ["train"])
    assert len(there.files) > 2
    assert there.digest == disk.digest
    handler.asked.clear()
    for number in (7, 0, N - 1):
        assert_same(there[number], disk[number])
    rows = [disk.rows[number] for number in (7, 0, N - 1)]
    assert handler.asked == [(f"/lrs2/{row.shard}", f"bytes={row.offset}-{row.offset + row.size - 1}") for row in rows]


def test_a_bucket_gives_what_the_disk_gives(folder: Path, bucket: str) -> None:
    disk, there = ShardSet([folder], ["train"]), ShardSet([bucket], ["train"])
    for one, other in zip(there.read(list(range(N))), map(disk.__getitem__, range(N)), strict=True):
        assert_same(one, other)


def test_other_urls_and_folders_of_several_kinds_go_together(
    folder: Path, tmp_path: Path, web: tuple[str, type[Handler]]
) -> None:
    import fsspec

    fsspec.filesystem("memory").put(str(folder), "/shards/lrs2", recursive=True)
    other = write_small_shards(tmp_path / "other", 3)
    mixed = ShardSet([other, f"file://{folder}", "memory://shards/lrs2", web[0]], ["train"])
    samples = mixed.read([0, 3, 3 + N, 3 + 2 * N])
    assert [sample.row.transcript for sample in samples] == ["number 0"] * 4
    assert samples[1].members == samples[2].members == samples[3].members != samples[0].members


def test_long_ranges_are_fetched_in_pieces(
    folder: Path, web: tuple[str, type[Handler]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PIECE_BYTES", 1000)
    web[1].asked.clear()
    assert_same(ShardSet([web[0]], ["train"])[5], ShardSet([folder], ["train"])[5])
    assert len(web[1].asked) > 5


def first_values(samples: list[Sample]) -> list[float]:
    return [float(sample.fbank[0, 0]) for sample in samples]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_urls_that_their_parent_has_read(web: tuple[str, type[Handler]], start: str) -> None:
    there = ShardSet([web[0]], ["train"])
    assert first_values([there[0]]) == [0]
    loader = DataLoader(there, 4, num_workers=2, collate_fn=first_values, multiprocessing_context=start)
    assert [list(batch) for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_what_fails_by_chance_is_tried_again(web: tuple[str, type[Handler]], status: int) -> None:
    there = ShardSet([web[0]], ["train"])
    web[1].statuses[:] = [status] * (store.TRIES - 1)
    assert first_values([there[3]]) == [3]


def test_a_network_that_stays_broken_is_one_line(web: tuple[str, type[Handler]]) -> None:
    there = ShardSet([web[0]], ["train"])
    web[1].asked.clear()
    web[1].statuses[:] = [503] * 50
    with pytest.raises(UserError, match=r"lrs2/train-00000\.tar: cannot be read \(.*503.*\); .* run again"):
        there[0]
    assert len(web[1].asked) == store.TRIES


def test_nobody_at_the_address_is_one_line() -> None:
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/lrs2/index\.parquet: cannot be read"):
        ShardSet(["http://127.0.0.1:9/lrs2"], ["train"])


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_door_is_not_tried_again(web: tuple[str, type[Handler]], status: int) -> None:
    there = ShardSet([web[0]], ["train"])
    web[1].asked.clear()
    web[1].statuses[:] = [status]
    with pytest.raises(UserError, match=r"train-00000\.tar: access is denied; give credentials"):
        there[0]
    assert len(web[1].asked) == 1


def test_a_server_without_ranges_is_known_before_it_sends_a_shard(folder: Path) -> None:
    with http_server(folder.parent, ranges=False) as (address, handler):
        with pytest.raises(UserError, match="sends whole files where a range"):
            ShardSet([f"{address}/lrs2"], ["train"])
        assert {path for path, _ in handler.asked} == {"/lrs2/index.parquet"}


def test_what_is_not_there_is_named(web: tuple[str, type[Handler]], bucket: str) -> None:
    for url in (f"{web[0]}-x", f"{bucket}-x", "memory://nothing"):
        with pytest.raises(UserError, match=r"index\.parquet: is not there; upload"):
            ShardSet([url], ["train"])


def test_a_bucket_without_credentials_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec import filesystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    filesystem("s3").clear_instance_cache()
    with pytest.raises(UserError, match="access is denied; give credentials"):
        ShardSet([bucket], ["train"])
    filesystem("s3").clear_instance_cache()


def test_schemes_that_nobody_knows_are_one_line() -> None:
    with pytest.raises(UserError, match="nonsense"):
        ShardSet(["nonsense://bucket/lrs2"], ["train"])


def test_truncated_and_altered_shards_are_told_apart(folder: Path, tmp_path: Path, bucket: str) -> None:
    import boto3

    client = boto3.client("s3")
    for path in folder.iterdir():
        client.put_object(Bucket="shards", Key=f"broken/{path.name}", Body=path.read_bytes())
    shard = folder / "train-00000.tar"
    blob = bytearray(shard.read_bytes())
    second = ShardSet([folder], ["train"]).rows[1]
    client.put_object(Bucket="shards", Key="broken/train-00000.tar", Body=bytes(blob[: second.offset + 700]))
    there = ShardSet(["s3://shards/broken"], ["train"])
    assert first_values([there[0]]) == [0]
    # in the middle of the sample, and beyond the end of the file
    for number in (1, 2):
        with pytest.raises(UserError, match=r"s3://shards/broken/train-00000\.tar: is truncated: sample .* ends at"):
            there[number]
    blob[second.offset + 600] ^= 1
    client.put_object(Bucket="shards", Key="broken/train-00000.tar", Body=bytes(blob))
    with pytest.raises(UserError, match="sample main/0001/00001 is not what the index says; upload the folder"):
        there[1]


def test_an_index_cannot_name_files_outside_its_folder(folder: Path, tmp_path: Path) -> None:
    rows = pq.read_table(folder / "index.parquet").to_pylist()
    for name in ("../secret.tar", "/etc/passwd", ".hidden", "a/b.tar", "s3://other/x.tar"):
        table = pa.Table.from_pylist([row | {"shard": name} for row in rows], INDEX_SCHEMA)
        pq.write_table(table, tmp_path / "index.parquet")
        with pytest.raises(UserError, match="outside its folder"):
            ShardSet([tmp_path], ["train"])


def test_rows_are_those_of_the_index_whichever_way_they_are_read(folder: Path) -> None:
    expected = pq.read_table(folder / "index.parquet").to_pylist()
    shards = ShardSet([folder, folder], ["train"])
    assert [vars(row) for row in shards.rows] == expected * 2
    assert [vars(shards.rows[number]) for number in range(2 * N)] == expected * 2
    assert shards.rows.numbers("n_frames").tolist() == [row["n_frames"] for row in expected] * 2


def test_splits_that_share_a_folder_are_kept_apart(tmp_path: Path) -> None:
    write_small_shards(tmp_path / "a", 3)
    write_small_shards(tmp_path / "b", 2, split="test")
    both = [tmp_path / "a", tmp_path / "b"]
    assert [len(ShardSet(both, splits)) for splits in (["train"], ["test"], ["test", "train"])] == [3, 2, 5]


def test_a_set_is_pickled_as_columns(folder: Path) -> None:
    shards = ShardSet([folder], ["train"])
    again = pickle.loads(pickle.dumps(shards))
    assert list(again.rows) == list(shards.rows)
    assert_same(again[4], shards[4])


def test_folders_on_disk_need_no_fsspec(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from synctalk.shards.read import ShardSet; "
        f"ShardSet([Path({str(folder)!r})], ['train'])[3].fbank; "
        "print(sorted({'fsspec', 's3fs', 'aiohttp', 'webdataset', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
