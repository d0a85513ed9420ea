"""What can be said of a clip beside its scores. Nothing is dropped in silence: what cannot be scored has a note."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from synctalk.corpora.records import write_table
from synctalk.errors import Reason
from synctalk.models.syncnet import LIP_WINDOW
from synctalk.timebase import n_whole_frames


class ClipFinding(StrEnum):
    """What can be said of a clip beside its scores: all values of the `finding` column of notes.parquet."""

    MISSING = "missing"
    EXTRA = "extra"
    UNREADABLE = "unreadable"
    NO_AUDIO = "no_audio"
    NO_REFERENCE = "no_reference"
    NO_TRANSCRIPT = "no_transcript"
    NO_FACE = "no_face"
    FACE_PARTLY = "face_partly"
    TOO_SHORT = "too_short"
    SHORTER = "shorter"
    LONGER = "longer"
    OTHER_SIZE = "other_size"


MIN_FRAMES = LIP_WINDOW + 2
"""Frames of audio and picture that a clip needs: two windows of SyncNet, and a median over its box."""


@dataclass(frozen=True)
class Note:
    """One finding.

    Attributes:
        id: the clip.
        finding: of the closed set.
        scored: whether the clip has a row of scores all the same.
        detail: what was found, in one line for a person.
    """

    id: str
    finding: ClipFinding
    scored: bool
    detail: str


def undecoded(reason: Reason) -> ClipFinding:
    """What is said of a video that cannot be decoded."""
    return ClipFinding.NO_AUDIO if reason is Reason.NO_AUDIO else ClipFinding.UNREADABLE


def other_length(clip_id: str, n_made: int, n_real: int) -> Note:
    """What is said of a generated video whose length is not that of the real one."""
    finding = ClipFinding.SHORTER if n_made < n_real else ClipFinding.LONGER
    return Note(clip_id, finding, True, f"{n_made} frames, {n_real} in the real video; what both have is scored")


def too_short(n_frames: int, n_samples: int) -> str | None:
    """Why so many frames and samples of audio cannot be scored; None where they can."""
    if min(n_frames, n_whole_frames(n_samples)) >= MIN_FRAMES:
        return None
    return f"{n_frames} frames and {n_samples} samples, {MIN_FRAMES} frames of both are needed"


NOTE_SCHEMA = pa.schema(
    [("id", pa.string()), ("finding", pa.string()), ("scored", pa.bool_()), ("detail", pa.string())]
)


def write_notes(path: Path, notes: Iterable[Note]) -> None:
    """Write notes as parquet, sorted by id."""
    rows = [asdict(note) for note in notes]
    write_table(path, sorted(rows, key=lambda row: (row["id"], row["finding"], row["detail"])), NOTE_SCHEMA)


FINDINGS_HEADER = ("corpus", "id", "finding", "scored", "detail")


def write_findings(path: Path, notes: Mapping[str, Sequence[Note]]) -> None:
    """Write notes by corpus as CSV: corpus, id, finding, scored (true or false), detail; sorted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FINDINGS_HEADER)
        for corpus, found in notes.items():
            for note in sorted(found, key=lambda note: (note.id, note.finding, note.detail)):
                writer.writerow([corpus, note.id, note.finding, str(note.scored).lower(), note.detail])
