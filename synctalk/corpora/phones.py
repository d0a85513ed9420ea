"""When each phone is spoken: the truth that synthetic corpora have and real ones do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from synctalk.parquet import read_table, write_table
from synctalk.timebase import FPS

PHONEMES = "phonemes.parquet"
"""Below the root of a corpus that has it."""
PHONEME_SCHEMA = pa.schema(
    [("id", pa.string()), ("phone", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())]
)
SILENCE = "_"
STRESS = "',%="
"""eSpeak's marks of stress and of liaison, which name no other phone."""


@dataclass(frozen=True)
class PhoneRow:
    """A row of phonemes.parquet: eSpeak's phone ("_" silence) of a video file, seconds from the file's start."""

    id: str
    phone: str
    start_s: float
    end_s: float


def write_phonemes(root: Path, rows: Sequence[PhoneRow]) -> None:
    """phonemes.parquet, sorted by clip and time."""
    ordered = sorted(rows, key=lambda row: (row.id, row.start_s))
    write_table(root / PHONEMES, [asdict(row) for row in ordered], PHONEME_SCHEMA)


def read_phonemes(root: Path) -> dict[str, list[PhoneRow]]:
    """Phones of each video file in order of time; empty where the corpus below `root` has no such truth."""
    if not (root / PHONEMES).is_file():
        return {}
    rows = [PhoneRow(**row) for row in read_table(root / PHONEMES, PHONEME_SCHEMA)]
    return {file: list(phones) for file, phones in groupby(rows, key=lambda row: row.id)}


def frame_phones(rows: Sequence[PhoneRow], first_frame: int, n_frames: int) -> list[str]:
    """The phone in the middle of each of `n_frames` frames of 40 ms from `first_frame` on, without marks of stress.

    Before the first phone and after the last there is silence.
    """
    starts = np.array([row.start_s for row in rows])
    middles = (first_frame + np.arange(n_frames) + 0.5) / FPS
    found = np.searchsorted(starts, middles, side="right") - 1
    return [
        rows[index].phone.strip(STRESS) or SILENCE if index >= 0 and middle < rows[index].end_s else SILENCE
        for index, middle in zip(found, middles, strict=True)
    ]
