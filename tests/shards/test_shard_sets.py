"""Sets of samples over folders and splits: their order, their digest, and what refuses to be read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from servers import write_small_shards
from test_round_trip import sample

from synctalk.errors import UserError
from synctalk.shards.corpus import iter_index
from synctalk.shards.read import ShardSet, require_intact
from synctalk.shards.write import write_shards


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Seven samples in several shards, and two of two splits in one shard each."""
    root = tmp_path_factory.mktemp("shards")
    write_shards(root / "two", [sample(0, "test", 5), sample(1, n_frames=3)], max_bytes=10**9)
    return [write_small_shards(root / "seven", 7, shard_bytes=10_000), root / "two"]


def test_samples_stand_in_the_order_of_folders_and_indexes(folders: list[Path]) -> None:
    seven, two = folders
    rows = {folder: list(iter_index(folder)) for folder in folders}
    for order in ([seven, two], [two, seven]):
        shards = ShardSet(order, ["train", "test"])
        expected = [(folder, row) for folder in order for row in rows[folder]]
        assert list(shards.rows) == [row for _, row in expected]
        assert [shards.files[number] for number in shards.file] == [folder / row.shard for folder, row in expected]
        assert shards.offset.tolist() == [row.offset for _, row in expected]
        assert shards.size.tolist() == [row.size for _, row in expected]
        assert shards.rows.numbers("n_frames").tolist() == [row.n_frames for _, row in expected]
        assert [found.about["id"] for found in shards.read(range(9))] == [row.id for _, row in expected]
        assert [found.row.id for found in shards.__getitems__([8, 0])] == [expected[8][1].id, expected[0][1].id]


def test_splits_that_are_not_asked_for_are_left_out(folders: list[Path]) -> None:
    train, test = ShardSet(folders, ["train"]), ShardSet(folders, ["test"])
    assert [row.split for row in train.rows] == ["train"] * 8
    assert [row.id for row in test.rows] == ["main/000/00001"]
    assert test.files[test.file[0]] == folders[1] / "test-00000.tar"
    assert test[0].mouth.shape[0] == 5


def test_the_digest_is_that_of_all_indexes_in_their_order(folders: list[Path]) -> None:
    whole = hashlib.sha256()
    for folder in folders:
        whole.update(hashlib.sha256((folder / "index.parquet").read_bytes()).digest())
    assert ShardSet(folders, ["train"]).digest == whole.hexdigest()
    assert ShardSet(folders[::-1], ["train"]).digest != whole.hexdigest()


def test_no_folder_and_no_sample_are_one_line(folders: list[Path]) -> None:
    with pytest.raises(UserError) as error:
        ShardSet([], ["train"])
    assert str(error.value) == "shards: no folder is named; name one: a path or a URL"
    with pytest.raises(UserError) as error:
        ShardSet(folders, ["val", "pretrain"])
    assert str(error.value) == (
        f"{folders[0]}, {folders[1]}: no sample in the splits val, pretrain; look at rejected.parquet"
    )


def test_bytes_that_are_too_few_or_others_are_told_apart(folders: list[Path]) -> None:
    (row, *_) = iter_index(folders[0])
    blob = (folders[0] / row.shard).read_bytes()[: row.size]
    require_intact(row, folders[0] / row.shard, blob)
    moved = replace(row, offset=1_000_000)
    for location, mend in (
        ("a.tar", "delete the folder and run `dvc repro`"),
        ("s3://b/a.tar", "upload the folder of shards again"),
    ):
        with pytest.raises(UserError) as error:
            require_intact(moved, location, blob[:-1])
        end = f"{1_000_000 + row.size:,}"
        assert str(error.value) == f"{location}: is truncated: sample {row.key} ends at byte {end}; {mend}"
        with pytest.raises(UserError) as error:
            require_intact(row, location, blob[:-1] + bytes([blob[-1] ^ 1]))
        assert str(error.value) == f"{location}: sample {row.key} is not what the index says; {mend}"


def test_a_network_is_checked_at_every_reading_and_a_disk_once(tmp_path: Path) -> None:
    folder = write_small_shards(tmp_path / "lrs2", 2)
    disk, there = ShardSet([folder], ["train"]), ShardSet([f"file://{folder}"], ["train"])
    disk.read([0, 1]), there.read([0, 1])
    (first, second) = disk.rows
    shard = folder / first.shard
    blob = bytearray(shard.read_bytes())
    blob[second.offset + 700] ^= 1
    shard.write_bytes(bytes(blob))
    np.testing.assert_array_equal(disk[0].fbank, there[0].fbank)
    assert disk[1].row == second
    with pytest.raises(UserError, match="is not what the index says; upload"):
        there[1]


@pytest.mark.parametrize("number", [0, 1, 1023, 1024, 1025, 2047, 2048])
def test_rows_of_a_long_index_are_found_by_number(number: int, long: ShardSet) -> None:
    assert long.rows[number].start == number
    assert [row.start for row in long.rows] == list(range(2049))
    assert len(long) == len(long.rows) == 2049


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """An index of more rows than are made records at once; nothing lies behind it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from synctalk.shards.records import INDEX_SCHEMA

    folder = tmp_path_factory.mktemp("long")
    row = dict.fromkeys(INDEX_SCHEMA.names, "x") | {"split": "train", "shard": "train-00000.tar"}
    numbers = {"start": 0, "audio_start": 0, "n_frames": 1, "offset": 0, "size": 0}
    rows = [row | numbers | {"start": number} for number in range(2049)]
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), folder / "index.parquet")
    return ShardSet([folder], ["train"])
