"""The records that pass between stages, and their parquet schemas.

A clip's id is its path inside the corpus without suffix ("main/5535415699068794046/00001"): basenames repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from synctalk.errors import Reason, UserError

SPLITS = ("pretrain", "train", "val", "test")


@dataclass(frozen=True)
class Word:
    """A word of the transcript, lower case, with its times in seconds from the clip's start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Clip:
    """One utterance of a corpus.

    Attributes:
        id: path inside the corpus without suffix.
        speaker: speaker or source video; no speaker stands in two splits of the synthetic corpora.
        split: one of `SPLITS`.
        video: path of the video, relative to the corpus root.
        audio: path of the audio, relative to the corpus root; the video file itself where audio is inside it.
        transcript: lower case; "" where the corpus has none.
        words: word times, where the corpus has them; in a segment counted from the segment's start.
        n_frames: frames of the video file as stored.
        fps: mean frame rate as stored, 1/s.
        width, height: pixels.
        sample_rate: audio, Hz, as stored.
        video_start_s, audio_start_s: first time stamps of the streams, seconds.
        face_track: path of the published face track (.npz: boxes, landmarks), relative to the root; "" where none.
            It spans the file, also where the clip is a segment of it.
        first_frame: where the clip begins in the 25 fps time line of its video file.
        n_cut_frames: frames of that time line that belong to the clip; 0 = all to the file's end.
    """

    id: str
    speaker: str
    split: str
    video: str
    audio: str
    transcript: str
    words: tuple[Word, ...] = field(default=())
    n_frames: int = 0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    video_start_s: float = 0.0
    audio_start_s: float = 0.0
    face_track: str = ""
    first_frame: int = 0
    n_cut_frames: int = 0

    @property
    def span(self) -> slice:
        """The clip's frames in the 25 fps time line of its video file."""
        return slice(self.first_frame, self.first_frame + self.n_cut_frames if self.n_cut_frames else None)


@dataclass(frozen=True)
class Rejected:
    """A clip that was dropped: by which stage, why (closed set), and the measured figure in one line."""

    id: str
    stage: str
    reason: Reason
    detail: str


CLIP_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("speaker", pa.string()),
        ("split", pa.string()),
        ("video", pa.string()),
        ("audio", pa.string()),
        ("transcript", pa.string()),
        ("words", pa.list_(pa.struct([("text", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())]))),
        ("n_frames", pa.int64()),
        ("fps", pa.float64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("sample_rate", pa.int64()),
        ("video_start_s", pa.float64()),
        ("audio_start_s", pa.float64()),
        ("face_track", pa.string()),
        ("first_frame", pa.int64()),
        ("n_cut_frames", pa.int64()),
    ]
)
REJECTED_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "stage", "reason", "detail")])


def write_table(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write `rows` as parquet, zstd, by way of a temporary file. Equal rows give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), temporary, compression="zstd", row_group_size=4096)
    temporary.replace(path)


def parse_table(
    source: Path | BinaryIO, what: str | Path, schema: pa.Schema, repeating: Sequence[str] = ()
) -> pa.Table:
    """Columns of a parquet file that has exactly those of `schema`.

    Args:
        source: the file.
        what: its name in errors.
        schema: columns that it must have.
        repeating: text columns of few values, which are kept as numbers into a dictionary.

    Raises:
        UserError: the file is missing, no parquet, or has other columns.
    """
    try:
        table = pq.read_table(source, read_dictionary=list(repeating))
    except FileNotFoundError as error:
        raise UserError(what, "is not there", "run `dvc repro`") from error
    except pa.ArrowInvalid as error:
        raise UserError(what, "is no parquet file", "delete it and run `dvc repro`") from error
    if table.schema.names != schema.names:
        raise UserError(what, f"has the columns {table.schema.names}, not {schema.names}", "run `dvc repro`")
    return table


def read_table(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Rows of a parquet file that has exactly the columns of `schema`.

    Raises:
        UserError: as `parse_table`.
    """
    rows: list[dict[str, Any]] = parse_table(path, path, schema).to_pylist()
    return rows


def write_clips(path: Path, clips: Iterable[Clip]) -> None:
    """Write clips to parquet, sorted by id."""
    write_table(path, [asdict(clip) for clip in sorted(clips, key=lambda clip: clip.id)], CLIP_SCHEMA)


def read_clips(path: Path) -> list[Clip]:
    """Clips of an index parquet.

    Raises:
        UserError: as `read_table`.
    """
    return [
        Clip(**{**row, "words": tuple(Word(**word) for word in row["words"] or ())})
        for row in read_table(path, CLIP_SCHEMA)
    ]


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Write dropped clips to parquet, sorted by id."""
    write_table(path, [asdict(row) for row in sorted(rejected, key=lambda row: (row.id, row.stage))], REJECTED_SCHEMA)


def read_rejected(path: Path) -> list[Rejected]:
    """Dropped clips of a parquet.

    Raises:
        UserError: as `read_table`.
    """
    return [Rejected(**{**row, "reason": Reason(row["reason"])}) for row in read_table(path, REJECTED_SCHEMA)]
