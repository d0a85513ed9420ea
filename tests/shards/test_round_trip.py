"""Shards: what goes in comes out, the bytes are always the same, and damage is noticed."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import webdataset

from synctalk.corpora.records import Clip, Word
from synctalk.errors import UserError
from synctalk.shards.corpus import iter_index
from synctalk.shards.mosaic import decode_frames, decode_mosaic, encode_mosaic
from synctalk.shards.read import ShardSet
from synctalk.shards.records import Crop, crop_to_row, npy, row_to_crop
from synctalk.shards.write import sample_key, write_shards


def pictures(n_frames: int, side: int, channels: int = 0, seed: int = 0) -> np.ndarray:
    ramp = np.add.outer(np.arange(side), np.arange(side)) * 255 // (2 * side)
    shape = (n_frames, side, side, channels) if channels else (n_frames, side, side)
    base = np.broadcast_to(ramp[None, :, :, None] if channels else ramp[None], shape)
    offsets = np.random.default_rng(seed).integers(-20, 20, (n_frames, *[1] * (len(shape) - 1)))
    return np.clip(base + offsets, 0, 255).astype(np.uint8)


def sample(number: int, split: str = "train", n_frames: int = 7) -> tuple[Clip, Crop, dict[str, bytes]]:
    clip_id = f"main/{number:03d}/00001"
    clip = Clip(
        id=clip_id,
        speaker=f"s{number}",
        split=split,
        video=f"{clip_id}.mp4",
        audio=f"{clip_id}.mp4",
        transcript=f"bin {number}",
        words=(Word("bin", 0.1, 0.3),),
    )
    crop = Crop(
        id=clip_id,
        clip=clip_id,
        start=2,
        audio_start=-1,
        n_frames=n_frames,
        frame_height=160,
        frame_width=180,
        boxes=np.arange(4 * n_frames, dtype=np.int32).reshape(n_frames, 4),
        mouth_transforms=np.random.default_rng(number).random((n_frames, 2, 3)).astype(np.float32),
        faces=encode_mosaic(pictures(n_frames, 96, 3, number), 95),
        mouth=encode_mosaic(pictures(n_frames, 48, 0, number), 95),
    )
    fbank = np.full((n_frames, 104), number, np.float32)
    return clip, crop, {"fbank": npy(fbank), "mfcc": b""}


@pytest.mark.parametrize(("n_frames", "channels", "side"), [(1, 3, 96), (16, 0, 48), (17, 3, 32), (50, 0, 96)])
def test_mosaics_keep_order_and_pictures(n_frames: int, channels: int, side: int) -> None:
    frames = pictures(n_frames, side, channels)
    back = decode_mosaic(encode_mosaic(frames, 95), n_frames)
    assert back.shape == frames.shape
    assert np.abs(back.astype(int) - frames).max() <= 4


def test_frames_of_a_mosaic_do_not_bleed_into_each_other() -> None:
    frames = np.zeros((4, 48, 48), np.uint8)
    frames[1] = 255
    back = decode_mosaic(encode_mosaic(frames, 80), 4)
    assert back[0].max() <= 1
    assert back[1].min() >= 254


@pytest.mark.parametrize(("n_frames", "channels", "side"), [(1, 3, 96), (16, 0, 48), (17, 3, 8), (75, 3, 96)])
def test_frames_decoded_alone_are_those_of_the_whole_mosaic(n_frames: int, channels: int, side: int) -> None:
    frames = np.random.default_rng(3).integers(0, 256, (n_frames, side, side, channels or 1), np.uint8)
    blob = encode_mosaic(frames if channels else frames[..., 0], 95)
    whole = decode_mosaic(blob, n_frames)
    last = n_frames - 1
    for numbers in ([0], [last], [last, 0, last], list(range(n_frames)), list(range(n_frames // 2, n_frames))):
        np.testing.assert_array_equal(decode_frames(blob, numbers), whole[numbers])


def test_some_frames_of_what_is_no_mosaic_are_refused() -> None:
    frames = pictures(20, 16, 3)
    blob = encode_mosaic(frames, 95)
    plain = cv2.imencode(".jpg", np.zeros((16, 256, 3), np.uint8))[1].tobytes()
    with pytest.raises(ValueError, match="restart marker"):
        decode_frames(plain, [0])
    with pytest.raises(ValueError, match="at most 32 frames, 33"):
        decode_frames(blob, [32])
    with pytest.raises(ValueError, match="frame -1"):
        decode_frames(blob, [-1])
    with pytest.raises(ValueError, match="0 frames"):
        decode_frames(blob, [])
    with pytest.raises(ValueError, match="breaks off"):
        decode_frames(blob[: len(blob) // 2], [0])
    for broken in (b"", b"no picture", blob[:40]):
        with pytest.raises(ValueError, match="no JPEG"):
            decode_frames(broken, [0])


def test_a_side_that_does_not_fit_the_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="50"):
        encode_mosaic(np.zeros((1, 50, 50), np.uint8), 90)


def test_samples_come_back_as_they_went_in(tmp_path: Path) -> None:
    samples = [sample(0), sample(1, "test", 5), sample(2)]
    write_shards(tmp_path, samples, max_bytes=10**9)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.parquet", "test-00000.tar", "train-00000.tar"]
    train = ShardSet([tmp_path], ["train"])
    assert [row.id for row in train.rows] == ["main/000/00001", "main/002/00001"]
    for number, (clip, crop, _) in zip((0, 1), (samples[0], samples[2]), strict=True):
        got = train[number]
        assert got.about["words"] == [{"text": "bin", "start_s": 0.1, "end_s": 0.3}]
        assert (got.row.transcript, got.row.start, got.row.n_frames) == (clip.transcript, 2, 7)
        assert got.row.audio_start == got.about["audio_start"] == -1
        np.testing.assert_array_equal(got.boxes, crop.boxes)
        np.testing.assert_array_equal(got.mouth_transforms, crop.mouth_transforms)
        assert got.faces.shape == (7, 96, 96, 3)
        assert got.mouth.shape == (7, 48, 48)
        assert float(got.fbank[3, 5]) == int(clip.speaker[1:])


def test_faces_of_one_clip_are_samples_of_their_own_and_share_its_text(tmp_path: Path) -> None:
    clip, crop, features = sample(0)
    faces = [replace(crop, id=f"{clip.id}/face{number}", start=number) for number in (1, 2)]
    write_shards(tmp_path, [(clip, face, features) for face in faces], max_bytes=10**9)
    assert [(row.key, row.id, row.clip, row.start) for row in iter_index(tmp_path)] == [
        (face.id, face.id, clip.id, face.start) for face in faces
    ]
    shards = ShardSet([tmp_path], ["train"])
    assert [shards[i].about["id"] for i in range(2)] == [face.id for face in faces]
    assert {shards[i].about["clip"] for i in range(2)} == {clip.id}
    assert {shards[i].row.transcript for i in range(2)} == {clip.transcript}
    stream = webdataset.WebDataset(str(tmp_path / "train-00000.tar"), shardshuffle=False)
    assert [one["__key__"] for one in stream] == [face.id for face in faces]


def test_a_member_that_was_not_kept_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, [sample(0)], max_bytes=10**9)
    with pytest.raises(UserError, match="mel"):
        _ = ShardSet([tmp_path], ["train"])[0].mel


def test_full_shards_are_closed_and_every_sample_is_found(tmp_path: Path) -> None:
    write_shards(tmp_path, [sample(i) for i in range(6)], max_bytes=20_000)
    assert len(list(tmp_path.glob("train-*.tar"))) > 1
    shards = ShardSet([tmp_path], ["train"])
    assert [float(shards[i].fbank[0, 0]) for i in range(6)] == [0, 1, 2, 3, 4, 5]


def test_members_are_those_that_tarfile_finds(tmp_path: Path) -> None:
    write_shards(tmp_path, [sample(i, n_frames=5 + i) for i in range(3)], max_bytes=10**9)
    with tarfile.open(tmp_path / "train-00000.tar") as archive:
        expected = {member.name: archive.extractfile(member).read() for member in archive}
    shards = ShardSet([tmp_path], ["train"])
    got = {f"{shards.rows[i].key}.{name}": blob for i in range(3) for name, blob in shards[i].members.items()}
    assert got == expected


def test_bytes_are_checked_once_a_process_and_their_number_always(tmp_path: Path) -> None:
    write_shards(tmp_path, [sample(0)], max_bytes=10**9)
    shards, path = ShardSet([tmp_path], ["train"]), tmp_path / "train-00000.tar"
    blob = path.read_bytes()
    assert shards[0].fbank[0, 0] == 0
    path.write_bytes(blob[:600] + bytes([blob[600] ^ 1]) + blob[601:])
    _ = shards[0]
    with pytest.raises(UserError, match="not what the index says"):
        _ = ShardSet([tmp_path], ["train"])[0]
    path.write_bytes(blob[:600])
    with pytest.raises(UserError, match="truncated"):
        _ = shards[0]


def test_webdataset_streams_the_same_members(tmp_path: Path) -> None:
    write_shards(tmp_path, [sample(i) for i in range(3)], max_bytes=10**9)
    stream = webdataset.WebDataset(str(tmp_path / "train-00000.tar"), shardshuffle=False)
    seen = [(one["__key__"], set(one) - {"__key__", "__url__", "__local_path__"}) for one in stream]
    assert [key for key, _ in seen] == [f"main/{i:03d}/00001" for i in range(3)]
    assert seen[0][1] == {"faces.jpg", "mouth.jpg", "fbank.npy", "track.npz", "json"}


def test_the_same_samples_give_the_same_bytes_without_pax_headers(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        write_shards(tmp_path / name, [sample(i) for i in range(3)], max_bytes=10**9)
        digests.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((tmp_path / name).iterdir())])
    assert digests[0] == digests[1]
    with tarfile.open(tmp_path / "a" / "train-00000.tar") as archive:
        for member in archive:
            assert (member.mtime, member.pax_headers, member.uid) == (0, {}, 0)


def test_an_altered_or_truncated_shard_is_noticed(tmp_path: Path) -> None:
    write_shards(tmp_path, [sample(0), sample(1)], max_bytes=10**9)
    shard = tmp_path / "train-00000.tar"
    blob = bytearray(shard.read_bytes())
    blob[600] ^= 1
    shard.write_bytes(bytes(blob))
    with pytest.raises(UserError, match="not what the index says"):
        ShardSet([tmp_path], ["train"])[0]
    shard.write_bytes(bytes(blob[:1000]))
    with pytest.raises(UserError, match=r"train-00000\.tar: is truncated: sample main/001/00001 ends at"):
        ShardSet([tmp_path], ["train"])[1]


def test_missing_indexes_and_empty_splits_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"index\.parquet: is not there"):
        ShardSet([tmp_path], ["train"])
    write_shards(tmp_path, [sample(0)], max_bytes=10**9)
    with pytest.raises(UserError, match="no sample in the splits test"):
        ShardSet([tmp_path], ["test"])


def test_ids_with_dots_or_of_great_length_get_a_safe_key() -> None:
    assert sample_key("main/5535/00001") == "main/5535/00001"
    for odd in ("holiday.2024/clip.one", "x" * 200, "naïve clip"):
        key = sample_key(odd)
        assert key.startswith("clip-")
        assert "." not in key
        assert key == sample_key(odd)


def test_crops_survive_their_parquet_row() -> None:
    _, crop, _ = sample(3)
    back = row_to_crop(crop_to_row(crop))
    np.testing.assert_array_equal(back.boxes, crop.boxes)
    np.testing.assert_array_equal(back.mouth_transforms, crop.mouth_transforms)
    assert (back.id, back.start, back.faces) == (crop.id, crop.start, crop.faces)
