"""How the project uses each kind of file; picklable, so that it is done in a process of its own."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from synctalk.checkpoints import read_tokenizer
from synctalk.checkpoints.load import found_kinds, kind_of, load, metadata_of
from synctalk.checkpoints.typed import load_generator
from synctalk.corpora.layouts import read_corpus
from synctalk.corpora.manifest import changes, read_manifest
from synctalk.corpora.records import ClipTable
from synctalk.corpora.transcript import read_align, read_transcript
from synctalk.errors import ClipError, UserError
from synctalk.evaluation.videos.pairs import match_crossed
from synctalk.faces.detect import read_published_track
from synctalk.features.tokens import Tokenizer, Units
from synctalk.media import read_audio
from synctalk.parquet import iter_rows
from synctalk.rejected import read_rejected
from synctalk.schema import check
from synctalk.shards.read import ShardSet
from synctalk.shards.records import CROP_SCHEMA, row_to_crop
from synctalk.shards.stream import read_stretch
from synctalk.training.loop import TrainState

TRACK_FRAMES = 20


def text(path: Path) -> None:
    """A transcript; each reader is asked, and the first that refuses is the answer."""
    refused = []
    for read in (read_transcript, partial(read_transcript, plain=True), read_align):
        try:
            read(path)
        except ClipError as error:
            refused.append(error)
    if len(refused) == 3:
        raise refused[0]


def listing(path: Path) -> None:
    """A list file at the root of a corpus."""
    root = path.parent
    (root / "main").mkdir()
    reading = read_corpus("lrs2" if path.suffix == ".txt" else "folder", root)
    if reading.rejected:
        raise ClipError(reading.rejected[0].reason, reading.rejected[0].detail)


def params(path: Path) -> None:
    check(path)


def audio(path: Path) -> None:
    read_audio(path)


def table(path: Path) -> None:
    """A table of the stages, every row, in all the ways that it is read."""
    if path.name == "clips.parquet":
        clips = ClipTable(path)
        assert len(list(clips)) == len(clips)
        ids = list(clips.ids())
        assert len(clips.by_id(ids[:2])) == len(set(ids[:2]))
        clips.between(3, 9)
    elif path.name == "rejected.parquet":
        read_rejected(path)
    else:
        for row in iter_rows(path, CROP_SCHEMA):
            row_to_crop(row)


def shards(path: Path, whole: Path) -> None:
    """A folder of shards of which one file is broken: every member of every sample, by number and shard by shard."""
    for file in whole.iterdir():
        if file.name != path.name:
            shutil.copy(file, path.parent)
    found = ShardSet([path.parent], ["train"])
    for sample in found:
        assert len(sample.faces) == len(sample.mouth) == len(sample.boxes) == len(sample.mouth_transforms)
        assert sample.fbank.shape[1] == 104
        assert sample.about["id"] == sample.row.id
    read_stretch(found, np.arange(len(found)))


def checkpoint(path: Path) -> None:
    """A file of weights, by every door; a refusal of any is one line, that of SyncNet's is the answer."""
    lines = []
    for ask in (found_kinds, kind_of, metadata_of, read_tokenizer, load_generator):
        try:
            ask(path)
        except UserError as error:
            lines.append(str(error))
    assert [line for line in lines if len(line.splitlines()) != 1] == []
    load("syncnet", path)


def state(path: Path) -> None:
    TrainState({"m": nn.Linear(3, 3)}, {}).load(path)


def track(path: Path) -> None:
    read_published_track(path, np.arange(TRACK_FRAMES))


def manifest(path: Path) -> None:
    changes(read_manifest(path), '["a/b.mp4", 123, 456]\n')


def pairs(path: Path) -> None:
    """Wav2Lip's list of crossed pairs, beside a folder with the video of its first line."""
    made = path.parent / "made"
    made.mkdir()
    (made / "0.mp4").touch()
    match_crossed(made, path, None, None)


def units(path: Path, model: Path) -> None:
    Units.load(model, path).encode("bin blue")


def tokenizer(path: Path) -> None:
    loaded = Tokenizer.load(path)
    loaded.decode(loaded.encode("bin blue"))
    loaded.pieces()
