"""Packing: crops and features of a corpus into WebDataset tars, one series a split, and `index.parquet`.

Bytes do not depend on time, user or worker count: whole-number mtime 0, no compression, samples in the order of the
clips.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow.parquet as pq
import webdataset

from synctalk.corpora.records import Clip
from synctalk.parquet import iter_rows, write_table
from synctalk.shards.records import INDEX_SCHEMA, Crop, IndexRow

MAX_KEY = 80
"""Longer member names would need PAX headers (100 characters with the ending)."""
INDEX = "index.parquet"
ROWS = ".rows.parquet"
"""Ending of the file that holds the index rows of one finished shard."""


def sample_key(sample_id: str) -> str:
    """WebDataset key of a sample: its id where that is a plain ASCII path without dots, else a readable hash of it."""
    if len(sample_id) <= MAX_KEY and re.fullmatch(r"[A-Za-z0-9_/-]+", sample_id):
        return sample_id
    return "clip-" + hashlib.sha256(sample_id.encode()).hexdigest()[:32]


def sample_members(clip: Clip, crop: Crop, features: dict[str, bytes]) -> dict[str, bytes]:
    """Tar members of one sample: pictures, track, features that are not empty, and the text as JSON."""
    track = io.BytesIO()
    np.savez(track, boxes=crop.boxes, mouth_transforms=crop.mouth_transforms)
    words = [asdict(word) for word in clip.words]
    about = {
        "id": crop.id,
        "clip": clip.id,
        "speaker": clip.speaker,
        "split": clip.split,
        "transcript": clip.transcript,
        "words": words,
        "first_frame": clip.first_frame,
        "start": crop.start,
        "audio_start": crop.audio_start,
        "n_frames": crop.n_frames,
        "frame_height": crop.frame_height,
        "frame_width": crop.frame_width,
    }
    members = {"faces.jpg": crop.faces, "mouth.jpg": crop.mouth, "track.npz": track.getvalue()}
    members |= {f"{name}.npy": blob for name, blob in features.items()}
    members["json"] = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    return {name: blob for name, blob in members.items() if blob}


def _rows_path(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:05d}{ROWS}"


class _Series:
    """The shards of one split: goes on after those that are finished, opens the next one when one is full."""

    def __init__(self, folder: Path, split: str, max_bytes: int) -> None:
        self.folder, self.split, self.max_bytes = folder, split, max_bytes
        self.n_shards = self.n_finished = 0
        while (finished := _rows_path(folder, split, self.n_shards)).is_file():
            self.n_finished += pq.read_metadata(finished).num_rows
            self.n_shards += 1
        self.file: BinaryIO | None = None
        self.writer: Any = None
        self.rows: list[IndexRow] = []

    @property
    def name(self) -> str:
        return f"{self.split}-{self.n_shards:05d}.tar"

    def abandon(self) -> None:
        """Leave the shard that is open; `tarfile` would else write to it once more when it is forgotten, and print what
        comes of it.
        """
        if self.file is not None:
            self.writer.tarstream.fileobj.closed = True

    def close(self) -> None:
        """Finish the shard that is open: first the tar, then the rows of its samples, which say that it is there."""
        if self.file is None:
            return
        self.writer.close()
        self.file.seek(0)
        rows = [asdict(replace(row, sha256=self._digest(row))) for row in self.rows]
        self.file.close()
        os.replace(self.folder / f".{self.name}.tmp", self.folder / self.name)
        write_table(_rows_path(self.folder, self.split, self.n_shards), rows, INDEX_SCHEMA)
        self.n_shards += 1
        self.file, self.rows = None, []

    def _digest(self, row: IndexRow) -> str:
        assert self.file is not None
        return hashlib.sha256(os.pread(self.file.fileno(), row.size, row.offset)).hexdigest()

    def write(self, clip: Clip, crop: Crop, features: dict[str, bytes]) -> None:
        """Append one sample, to a new shard where the last one is full."""
        if self.file is not None and self.writer.tarstream.offset > self.max_bytes:
            self.close()
        if self.file is None:
            self.file = (self.folder / f".{self.name}.tmp").open("w+b")
            self.writer = webdataset.TarWriter(self.file, mtime=0, encoder=False)
        key = sample_key(crop.id)
        offset = self.writer.tarstream.offset
        self.writer.write({"__key__": key, **sample_members(clip, crop, features)})
        self.rows.append(
            IndexRow(
                key=key,
                id=crop.id,
                clip=clip.id,
                split=clip.split,
                speaker=clip.speaker,
                transcript=clip.transcript,
                start=crop.start,
                audio_start=crop.audio_start,
                n_frames=crop.n_frames,
                shard=self.name,
                offset=offset,
                size=self.writer.tarstream.offset - offset,
                sha256="",
            )
        )


class ShardWriter:
    """The shards of a corpus while they are written; begun again in the same folder it goes on after the last full one.

    Args:
        folder: holds the finished shards, and beside each the rows of its samples.
        max_bytes: a shard is closed when it has grown beyond this.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        splits = {path.name.rpartition("-")[0] for path in folder.glob(f"*{ROWS}")}
        self.series = {split: _Series(folder, split, max_bytes) for split in splits}

    @property
    def n_finished(self) -> dict[str, int]:
        """Split -> samples, the first of it, that stand in finished shards and must not be written again."""
        return {split: series.n_finished for split, series in self.series.items()}

    def write(self, clip: Clip, crop: Crop, features: dict[str, bytes]) -> None:
        """Append one sample to the shards of its split.

        Args:
            clip: what it was cut from.
            crop: its pictures.
            features: name -> .npy bytes; empty ones are left out.
        """
        if clip.split not in self.series:
            self.series[clip.split] = _Series(self.folder, clip.split, self.max_bytes)
        with self._all_or_none():
            self.series[clip.split].write(clip, crop, features)

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """After an error of the disk, no shard is gone on with."""
        try:
            yield
        except OSError:
            for series in self.series.values():
                series.abandon()
            raise

    def close(self) -> None:
        """Finish all shards and write `index.parquet`, shard after shard, in the order of their names."""
        with self._all_or_none():
            for series in self.series.values():
                series.close()
        rows = (row for path in sorted(self.folder.glob(f"*{ROWS}")) for row in iter_rows(path, INDEX_SCHEMA))
        write_table(self.folder / INDEX, rows, INDEX_SCHEMA)


def write_shards(folder: Path, samples: Iterable[tuple[Clip, Crop, dict[str, bytes]]], *, max_bytes: int) -> None:
    """Write `<split>-<number>.tar` and `index.parquet` into `folder`, at once; samples are taken in the order given.

    Args:
        folder: made where missing.
        samples: arguments of `ShardWriter.write`.
        max_bytes: a shard is closed when it has grown beyond this.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writer = ShardWriter(folder, max_bytes)
    for sample in samples:
        writer.write(*sample)
    writer.close()
    for path in folder.glob(f"*{ROWS}"):
        path.unlink()
