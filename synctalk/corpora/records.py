"""The clips that pass between stages, and their parquet schema.

A clip's id is its path inside the corpus without suffix ("main/5535415699068794046/00001"): basenames repeat.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from synctalk.errors import UserError
from synctalk.parquet import iter_rows, open_table, write_table

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
