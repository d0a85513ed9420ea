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
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import webdataset

from synctalk.corpora.records import Clip, write_table
from synctalk.shards.records import INDEX_SCHEMA, Crop, IndexRow

MAX_KEY = 80
"""Longer member names would need PAX headers (100 characters with the ending)."""


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


class _Series:
    """The shards of one split: opens the next one when the current one is full."""

    def __init__(self, folder: Path, split: str, max_bytes: int) -> None:
        self.folder, self.split, self.max_bytes = folder, split, max_bytes
        self.n_shards = 0
        self.file: BinaryIO | None = None
        self.writer: Any = None
        self.name = ""

    def open(self) -> None:
        self.name = f"{self.split}-{self.n_shards:05d}.tar"
        self.n_shards += 1
        self.file = (self.folder / f".{self.name}.tmp").open("w+b")
        self.writer = webdataset.TarWriter(self.file, mtime=0, encoder=False)

    def close(self) -> None:
        if self.file is None:
            return
        self.writer.close()
        self.file.close()
        os.replace(self.folder / f".{self.name}.tmp", self.folder / self.name)
        self.file = None

    def write(self, key: str, members: dict[str, bytes]) -> tuple[int, int]:
        """Offset and size of the sample's bytes in the current shard."""
        if self.file is not None and self.writer.tarstream.offset > self.max_bytes:
            self.close()
        if self.file is None:
            self.open()
        offset = self.writer.tarstream.offset
        self.writer.write({"__key__": key, **members})
        return offset, self.writer.tarstream.offset - offset


def _with_digests(folder: Path, rows: list[IndexRow]) -> list[IndexRow]:
    """Rows with the sha256 of their bytes, read back from the finished shards (the writer buffers)."""
    digested = []
    for row in rows:
        with (folder / row.shard).open("rb") as file:
            blob = os.pread(file.fileno(), row.size, row.offset)
        digested.append(replace(row, sha256=hashlib.sha256(blob).hexdigest()))
    return digested


def write_shards(
    folder: Path, samples: Iterable[tuple[Clip, Crop, dict[str, bytes]]], *, max_bytes: int
) -> list[IndexRow]:
    """Write `<split>-<number>.tar` and `index.parquet` into `folder`; samples are taken in the order given.

    Args:
        folder: made where missing.
        samples: clip, its pictures, its features (name -> .npy bytes).
        max_bytes: a shard is closed when it has grown beyond this.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series: dict[str, _Series] = {}
    rows: list[IndexRow] = []
    for clip, crop, features in samples:
        shards = series.setdefault(clip.split, _Series(folder, clip.split, max_bytes))
        key = sample_key(crop.id)
        offset, size = shards.write(key, sample_members(clip, crop, features))
        rows.append(
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
                shard=shards.name,
                offset=offset,
                size=size,
                sha256="",
            )
        )
    for shards in series.values():
        shards.close()
    rows = _with_digests(folder, rows)
    write_table(folder / "index.parquet", [asdict(row) for row in rows], INDEX_SCHEMA)
    return rows
