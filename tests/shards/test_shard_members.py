"""What stands in a shard and its index, field by field, and where one shard ends and the next begins."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from test_round_trip import pictures, sample

from synctalk.corpora.records import Word
from synctalk.errors import UserError
from synctalk.shards.corpus import iter_index
from synctalk.shards.mosaic import decode_mosaic, encode_mosaic
from synctalk.shards.read import ShardSet
from synctalk.shards.records import npy
from synctalk.shards.write import ROWS, ShardWriter, sample_key, sample_members, write_shards


def test_keys_are_ids_of_eighty_letters_at_most() -> None:
    assert sample_key("a" * 80) == "a" * 80
    assert sample_key("A-z_0/9") == "A-z_0/9"
    for odd in ("a" * 81, "a.b", "a b", "", "a\n"):
        assert sample_key(odd) == "clip-" + hashlib.sha256(odd.encode()).hexdigest()[:32]


def test_the_text_of_a_sample_is_all_that_is_known_of_it_and_always_the_same_bytes() -> None:
    clip, crop, features = sample(3, "val")
    clip = replace(clip, first_frame=9, words=(Word("bin", 0.1, 0.3), Word("blue", 0.3, 0.5)))
    crop = replace(crop, id=f"{clip.id}/face1", frame_height=160, frame_width=180)
    members = sample_members(clip, crop, features)
    assert members["json"] == json.dumps(
        {
            "audio_start": -1, "clip": clip.id, "first_frame": 9, "frame_height": 160, "frame_width": 180,
            "id": f"{clip.id}/face1", "n_frames": 7, "speaker": "s3", "split": "val", "start": 2,
            "transcript": "bin 3",
            "words": [
                {"end_s": 0.3, "start_s": 0.1, "text": "bin"}, {"end_s": 0.5, "start_s": 0.3, "text": "blue"},
            ],
        }
    ).replace(": ", ":").replace(", ", ",").encode()  # fmt: skip


def test_empty_members_are_left_out_and_their_absence_is_one_line(tmp_path: Path) -> None:
    clip, crop, features = sample(0)
    assert list(sample_members(clip, crop, features)) == ["faces.jpg", "mouth.jpg", "track.npz", "fbank.npy", "json"]
    write_shards(tmp_path, [(clip, replace(crop, faces=b""), features)], max_bytes=10**9)
    found = ShardSet([tmp_path], ["train"])[0]
    for name, of in (("faces.jpg", "faces"), ("mfcc.npy", "mfcc"), ("mel.npy", "mel")):
        with pytest.raises(UserError) as error:
            getattr(found, of)
        assert str(error.value) == (
            f"train-00000.tar: {clip.id}: has no {name}; add it to corpora.<name>.members and repro"
        )


def test_every_member_is_read_under_its_own_name(tmp_path: Path) -> None:
    clip, crop, _ = sample(0)
    rng = np.random.default_rng(0)
    arrays = {"fbank": rng.random((7, 104)), "mfcc": rng.random((13, 28)), "mel": rng.random((80, 22))}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    write_shards(tmp_path, [(clip, crop, {name: npy(array) for name, array in arrays.items()})], max_bytes=10**9)
    found = ShardSet([tmp_path], ["train"])[0]
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(found, name), array)
    whole = decode_mosaic(crop.faces, 7)
    np.testing.assert_array_equal(found.faces, whole)
    np.testing.assert_array_equal(found.some_faces([6, 0]), whole[[6, 0]])
    np.testing.assert_array_equal(found.mouth, decode_mosaic(crop.mouth, 7))
    assert found.boxes.dtype == np.int32


def test_arrays_of_python_objects_are_not_packed() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        npy(np.array([None]))


def test_the_index_says_where_each_sample_lies(tmp_path: Path) -> None:
    samples = [sample(0), sample(1, "test"), sample(2)]
    write_shards(tmp_path / "a/b", samples, max_bytes=10**9)
    rows = list(iter_index(tmp_path / "a/b"))
    assert [(row.split, row.id) for row in rows] == [
        ("test", "main/001/00001"), ("train", "main/000/00001"), ("train", "main/002/00001"),
    ]  # fmt: skip
    for row, (clip, crop, features) in zip(rows, (samples[1], samples[0], samples[2]), strict=True):
        shard = tmp_path / "a/b" / row.shard
        blob = shard.read_bytes()[row.offset : row.offset + row.size]
        assert astuple(row)[:10] == (
            crop.id, crop.id, clip.id, clip.split, clip.speaker, clip.transcript, 2, -1, 7, f"{clip.split}-00000.tar",
        )  # fmt: skip
        assert row.sha256 == hashlib.sha256(blob).hexdigest()
        # a header and whole blocks for each member
        sizes = [len(value) for value in sample_members(clip, crop, features).values()]
        assert row.size == sum(512 + -(-size // 512) * 512 for size in sizes)
    assert [row.offset for row in rows] == [0, 0, rows[1].size]


def test_a_shard_takes_samples_until_it_has_grown_beyond_its_size(tmp_path: Path) -> None:
    clip, crop, features = sample(0)
    alike = [(replace(clip, id=f"c{n}"), replace(crop, id=f"c{n}"), features) for n in range(5)]
    write_shards(tmp_path / "one", alike[:1], max_bytes=10**9)
    (row,) = iter_index(tmp_path / "one")
    # a sample of just the size leaves room for one more
    for max_bytes, numbers in ((row.size, (0, 0, 1, 1, 2)), (row.size - 1, (0, 1, 2, 3, 4))):
        write_shards(tmp_path / str(max_bytes), alike, max_bytes=max_bytes)
        found = [one.shard for one in iter_index(tmp_path / str(max_bytes))]
        assert found == [f"train-{number:05d}.tar" for number in numbers]


def test_a_writer_goes_on_after_the_shards_that_are_finished(tmp_path: Path) -> None:
    """Begun again in the folder that another left, it makes the bytes of one that was not disturbed."""
    samples = [sample(n, "test" if n % 4 == 3 else "train") for n in range(12)]
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    write_shards(undisturbed, samples, max_bytes=60_000)
    disturbed.mkdir()
    first = ShardWriter(disturbed, 60_000)
    assert first.n_finished == {}
    for one in samples[:9]:
        first.write(*one)
    with pytest.raises(OSError, match="full"), first._all_or_none():
        raise OSError("the disk is full")
    again = ShardWriter(disturbed, 60_000)
    finished = dict.fromkeys(again.n_finished, 0)
    for path in disturbed.glob(f"*{ROWS}"):
        with tarfile.open(disturbed / path.name.replace(ROWS, ".tar")) as shard:
            finished[path.name.split("-")[0]] += sum(name.endswith(".json") for name in shard.getnames())
    assert again.n_finished == finished
    assert finished["train"] >= 2
    left = dict(finished)
    for clip, crop, features in samples:
        if left.get(clip.split, 0):
            left[clip.split] -= 1
        else:
            again.write(clip, crop, features)
    again.close()
    for path in undisturbed.iterdir():
        assert (disturbed / path.name).read_bytes() == path.read_bytes(), path.name
    tars = {path.name for path in undisturbed.iterdir()}
    assert {path.name for path in disturbed.iterdir()} - tars == {
        path.name.replace(".tar", ROWS) for path in undisturbed.glob("*.tar")
    }


def test_a_writer_without_samples_closes_what_is_finished(tmp_path: Path) -> None:
    ended = ShardWriter(tmp_path, 10**9)
    for number, split in enumerate(("train", "test", "train")):
        ended.write(*sample(number, split))
    ended.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = ShardWriter(tmp_path, 10**9)
    assert again.n_finished == {"train": 2, "test": 1}
    again.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_an_error_of_the_disk_left_is_not_written_to_again(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, 10**9)
    writer.write(*sample(0))
    with pytest.raises(OSError, match="full"), writer._all_or_none():
        raise OSError("the disk is full")
    open_shard = tmp_path / ".train-00000.tar.tmp"
    size = open_shard.stat().st_size
    writer.series["train"].writer.close()  # as it does when it is forgotten
    writer.series["train"].file.flush()
    assert open_shard.stat().st_size - size < 10_240  # no end of an archive


def test_mosaics_are_cut_to_the_frames_that_the_index_names(tmp_path: Path) -> None:
    clip, crop, features = sample(0)
    faces = encode_mosaic(pictures(9, 96, 3), 95)
    write_shards(tmp_path, [(clip, replace(crop, faces=faces), features)], max_bytes=10**9)
    assert ShardSet([tmp_path], ["train"])[0].faces.shape == (7, 96, 96, 3)
