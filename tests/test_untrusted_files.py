"""Files from elsewhere that would run code, or lead out of their folder: neither happens, whatever reads them."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shards.test_round_trip import sample
from torch import nn

from synctalk.corpora.listing import VIDEO_SUFFIXES
from synctalk.corpora.records import ClipTable, write_clips
from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.detect import read_published_track
from synctalk.generation.corpus import generated_path
from synctalk.media import probe, write_video
from synctalk.params.read import read_yaml
from synctalk.parquet import write_table
from synctalk.shards.read import ShardSet
from synctalk.shards.records import INDEX_SCHEMA, IndexRow
from synctalk.shards.stream import read_stretch
from synctalk.shards.write import write_shards
from synctalk.training.loop import TrainState


class Attack:
    """Pickled, a call that leaves a file behind."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.witness}",)


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    """The file that an attack would leave; proved by one that is let through."""
    proof = tmp_path / "proof"
    pickle.loads(pickle.dumps(Attack(proof)))
    assert proof.exists()
    return tmp_path / "witness"


def object_array(witness: Path) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = Attack(witness)
    return array


def test_a_published_track_that_would_run_code_is_no_face(tmp_path: Path, witness: Path) -> None:
    np.savez(tmp_path / "track.npz", boxes=object_array(witness), landmarks=object_array(witness))
    with pytest.raises(ClipError) as error:
        read_published_track(tmp_path / "track.npz", np.arange(5))
    assert error.value.reason is Reason.NO_FACE
    assert not witness.exists()


def test_a_published_track_of_places_that_are_none_is_no_face(tmp_path: Path) -> None:
    for odd in (np.nan, np.inf, -1e30):
        boxes = np.full((5, 4), odd)
        np.savez(tmp_path / "track.npz", boxes=boxes, landmarks=np.zeros((5, 5, 2)))
        with pytest.raises(ClipError, match="a place that is in no picture"):
            read_published_track(tmp_path / "track.npz", np.arange(5))


def test_a_state_of_training_that_would_run_code_is_refused(tmp_path: Path, witness: Path) -> None:
    torch.save({"step": 1, "modules": {}, "optimizers": Attack(witness)}, tmp_path / "state.pt")
    with pytest.raises(UserError, match="damaged checkpoint"):
        TrainState({"m": nn.Linear(2, 2)}, {}).load(tmp_path / "state.pt")
    assert not witness.exists()


def test_params_that_would_run_code_are_refused(tmp_path: Path, witness: Path) -> None:
    for text in (f"!!python/object/apply:os.system ['touch {witness}']", "a: !!python/name:os.system"):
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(UserError, match="is no YAML"):
            read_yaml(tmp_path / "params.yaml")
    assert not witness.exists()


# shards


def shard_of(folder: Path, members: list[tuple[tarfile.TarInfo, bytes]], row: IndexRow) -> None:
    """A folder with one shard of these members, and the index row that fits it."""
    folder.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        size = tar.offset
    blob = buffer.getvalue()[:size]
    (folder / "train-00000.tar").write_bytes(buffer.getvalue())
    fitting = replace(row, shard="train-00000.tar", offset=0, size=size, sha256=hashlib.sha256(blob).hexdigest())
    write_table(folder / "index.parquet", [asdict(fitting)], INDEX_SCHEMA)


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.fixture
def honest(tmp_path: Path) -> ShardSet:
    write_shards(tmp_path / "honest", [sample(0)], max_bytes=10**6)
    return ShardSet([tmp_path / "honest"], ["train"])


def test_members_that_lead_out_of_a_shard_are_bytes_and_no_files(
    tmp_path: Path, honest: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is ever unpacked: names of members are keys of a dict, links are none."""
    (tmp_path / "secret").write_text("secret")
    key = honest.rows[0].key
    members = [(tarfile.TarInfo(f"{key}.{name}"), data) for name, data in honest[0].members.items()]
    for name in ("../../outside", "/tmp/outside", f"{key}.../../outside", f"{key}./outside"):
        members.append((tarfile.TarInfo(name), b"outside"))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        link = tarfile.TarInfo(f"{key}.link")
        link.type, link.linkname = kind, str(tmp_path / "secret")
        members.append((link, b""))
    device = tarfile.TarInfo(f"{key}.device")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 5
    members.append((device, b""))
    shard_of(tmp_path / "evil", members, honest.rows[0])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = everything(tmp_path)
    read = ShardSet([tmp_path / "evil"], ["train"])
    (one,) = read.read([0])
    np.testing.assert_array_equal(one.faces, honest[0].faces)
    assert all(b"secret" not in data for data in one.members.values())
    assert everything(tmp_path) == before
    assert not Path("/tmp/outside").exists()


def test_an_array_in_a_shard_that_would_run_code_is_not_read(tmp_path: Path, honest: ShardSet, witness: Path) -> None:
    evil = io.BytesIO()
    np.save(evil, object_array(witness), allow_pickle=True)
    key, members = honest.rows[0].key, honest[0].members | {"fbank.npy": evil.getvalue()}
    shard_of(
        tmp_path / "evil",
        [(tarfile.TarInfo(f"{key}.{name}"), data) for name, data in members.items()],
        honest.rows[0],
    )
    read = ShardSet([tmp_path / "evil"], ["train"])
    for one in (read[0], read_stretch(read, np.arange(1))[0]):
        with pytest.raises(ValueError, match="allow_pickle=False"):
            _ = one.fbank
    assert not witness.exists()


# tables and places


def test_a_clip_whose_video_leads_elsewhere_is_read_as_footage_and_nothing_else(tmp_path: Path) -> None:
    """Rows of an index name places to read from; what is there is decoded, or is no video."""
    (tmp_path / "secret").write_text("root:x:0:0\n" * 100)
    (tmp_path / "corpus").mkdir()
    for video in ("../secret", str(tmp_path / "secret")):
        clip = replace(sample(0)[0], video=video, audio=video)
        write_clips(tmp_path / "clips.parquet", [clip])
        (read,) = ClipTable(tmp_path / "clips.parquet")
        with pytest.raises(ClipError) as error:
            probe(tmp_path / "corpus" / read.video)
        assert error.value.reason is Reason.UNDECODABLE
        assert "root:x" not in str(error.value)


@pytest.mark.parametrize("sample_id", ["../outside", "/tmp/outside", "a/../../b", ""])
def test_a_sample_is_not_generated_outside_its_folder(tmp_path: Path, sample_id: str) -> None:
    with pytest.raises(UserError, match="names nothing inside the corpus"):
        generated_path(tmp_path, sample_id)
    assert generated_path(tmp_path, "main/1/00001") == tmp_path / "main/1/00001.mp4"


@pytest.mark.parametrize("suffix", [*sorted(VIDEO_SUFFIXES), ".m3u8", ".sdp", ".txt"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{secret}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["hls", "concat", "sdp"],
)
def test_a_playlist_in_a_corpus_does_not_open_what_it_names(tmp_path: Path, suffix: str, text: str) -> None:
    """FFmpeg takes lists of other files for footage; here they are none, whatever they are called."""
    secret = tmp_path / "secret.mp4"
    write_video(secret, iter(np.zeros((5, 32, 32, 3), np.uint8)))
    (tmp_path / f"list{suffix}").write_text(text.format(secret=secret))
    with pytest.raises(ClipError) as error:
        probe(tmp_path / f"list{suffix}")
    assert error.value.reason is Reason.UNDECODABLE


@pytest.mark.parametrize("name", ["take1:2.mp4", "http:127.0.0.1:9?x.mp4", "file:other.mp4", "concat:a|b.mp4"])
def test_a_name_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Relative names that FFmpeg would take for protocols are written and read as the files that they name."""
    monkeypatch.chdir(tmp_path)
    write_video(Path(name), iter(np.zeros((5, 32, 32, 3), np.uint8)))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    stream = probe(Path(name)).video
    assert stream is not None
    assert stream.n_frames == 5
