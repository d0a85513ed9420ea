"""The records that pass between stages, and their parquet schemas.

A clip's id is its path inside the corpus without suffix ("main/5535415699068794046/00001"): basenames repeat.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from synctalk.errors import Reason, UserError

GROUP_ROWS = 1024
"""Rows of a row group: what is in memory at a time, and what reading one clip costs."""
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


def write_table(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema, group_rows: int = GROUP_ROWS) -> None:
    """Write `rows` as parquet, zstd, `group_rows` at a time, by way of a temporary file; equal rows, equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = iter(rows)
    # two machines may write the same file at once, when one of them is taken for dead
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
            while group := list(islice(source, group_rows)):
                writer.write_table(pa.Table.from_pylist(group, schema=schema), group_rows)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _undamaged(what: str | Path) -> Iterator[None]:
    """What pyarrow finds wrong with the bytes of `what` becomes a `UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(what, "is not there", "run `dvc repro`") from error
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is none
        raise UserError(what, "is no parquet file, or damaged", "delete it and run `dvc repro`") from error


def _type(field: pa.Field) -> pa.DataType:
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type


def open_table(
    source: Path | BinaryIO, what: str | Path, schema: pa.Schema, repeating: Sequence[str] = ()
) -> pq.ParquetFile:
    """A parquet file that has exactly the columns of `schema`.

    Args:
        source: the file.
        what: its name in errors.
        schema: columns that it must have.
        repeating: text columns of few values, which are kept as numbers into a dictionary.

    Raises:
        UserError: the file is missing, no parquet, damaged, or has other columns.
    """
    with _undamaged(what):
        file = pq.ParquetFile(source, read_dictionary=list(repeating), page_checksum_verification=True)
        found = file.schema_arrow
    if found.names != schema.names:
        raise UserError(what, f"has the columns {found.names}, not {schema.names}", "run `dvc repro`")
    other = next((field for field, wanted in zip(found, schema, strict=True) if _type(field) != wanted.type), None)
    if other is not None:
        wanted = schema.field(other.name).type
        raise UserError(what, f"its column {other.name} is of {_type(other)}, not of {wanted}", "run `dvc repro`")
    return file


def iter_rows(
    path: Path, schema: pa.Schema, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of a parquet file, one row group in memory at a time.

    Args:
        path: the file.
        schema: that it must have.
        columns: names of those that are wanted; all where None.
        groups: numbers of the row groups that are wanted; all where None.

    Raises:
        UserError: as `open_table`.
    """
    with open_table(path, path, schema) as file:
        for group in range(file.num_row_groups) if groups is None else groups:
            with _undamaged(path):
                rows = file.read_row_group(group, columns, use_threads=False).to_pylist()
            yield from rows


def parse_table(
    source: Path | BinaryIO, what: str | Path, schema: pa.Schema, repeating: Sequence[str] = ()
) -> pa.Table:
    """All columns of a parquet file; arguments and errors as `open_table`."""
    with open_table(source, what, schema, repeating) as file, _undamaged(what):
        return file.read()


def read_table(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Rows of a parquet file that has exactly the columns of `schema`.

    Raises:
        UserError: as `open_table`.
    """
    return list(iter_rows(path, schema))


def write_clips(path: Path, clips: Iterable[Clip]) -> None:
    """Write clips to parquet, sorted by id."""
    write_table(path, [asdict(clip) for clip in sorted(clips, key=lambda clip: clip.id)], CLIP_SCHEMA)


def row_to_clip(row: dict[str, Any]) -> Clip:
    """The clip of a row of `CLIP_SCHEMA`."""
    return Clip(**{**row, "words": tuple(Word(**word) for word in row["words"] or ())})


@dataclass(frozen=True)
class ClipTable:
    """The clips of an index parquet, in the order of their ids, of which a row group or so is in memory at a time.

    All methods raise `UserError` as `open_table` does.
    """

    path: Path

    def __len__(self) -> int:
        with open_table(self.path, self.path, CLIP_SCHEMA) as file:
            return int(file.metadata.num_rows)

    def __iter__(self) -> Iterator[Clip]:
        return map(row_to_clip, iter_rows(self.path, CLIP_SCHEMA))

    def ids(self) -> Iterator[str]:
        """Their ids alone."""
        return (row["id"] for row in iter_rows(self.path, CLIP_SCHEMA, ["id"]))

    def between(self, start: int, stop: int) -> list[Clip]:
        """Clips number `start` to `stop`, exclusive."""
        with open_table(self.path, self.path, CLIP_SCHEMA) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = list(accumulate(sizes))
        groups = [g for g, (size, end) in enumerate(zip(sizes, ends, strict=True)) if end > start and end - size < stop]
        first = ends[groups[0]] - sizes[groups[0]] if groups else 0
        rows = islice(iter_rows(self.path, CLIP_SCHEMA, groups=groups), start - first, stop - first)
        return [row_to_clip(row) for row in rows]

    def by_id(self, ids: Collection[str]) -> dict[str, Clip]:
        """Clips of these ids, read from the row groups whose range of ids holds one of them.

        Raises:
            UserError: an id has no clip.
        """
        wanted = sorted(set(ids))
        with open_table(self.path, self.path, CLIP_SCHEMA) as file:
            spans = [file.metadata.row_group(group).column(0).statistics for group in range(file.num_row_groups)]
        groups = [g for g, span in enumerate(spans) if bisect_left(wanted, span.min) < bisect_right(wanted, span.max)]
        rows = iter_rows(self.path, CLIP_SCHEMA, groups=groups)
        found = {row["id"]: row_to_clip(row) for row in rows if row["id"] in ids}
        if len(found) < len(wanted):
            missing = next(name for name in wanted if name not in found)
            raise UserError(self.path, f"has no clip {missing}", "run `dvc repro`")
        return found


def read_clips(path: Path) -> list[Clip]:
    """All clips of an index parquet.

    Raises:
        UserError: as `open_table`.
    """
    return list(ClipTable(path))


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Write dropped clips to parquet, sorted by id."""
    write_table(path, [asdict(row) for row in sorted(rejected, key=lambda row: (row.id, row.stage))], REJECTED_SCHEMA)


def iter_rejected(path: Path) -> Iterator[Rejected]:
    """Dropped clips of a parquet, some in memory at a time.

    Raises:
        UserError: as `open_table`.
    """
    return (Rejected(**{**row, "reason": Reason(row["reason"])}) for row in iter_rows(path, REJECTED_SCHEMA))


def read_rejected(path: Path) -> list[Rejected]:
    """Dropped clips of a parquet.

    Raises:
        UserError: as `open_table`.
    """
    return list(iter_rejected(path))
