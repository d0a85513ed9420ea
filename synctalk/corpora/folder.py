"""Any folder of videos: mp4, mpg, mpeg, avi, mov, mkv, webm, at any depth, audio inside.

    <anything>/<clip>.mp4          and, beside it, optional:
    <anything>/<clip>.txt          the sentence, bare or in the LRS layout, or
    <anything>/<clip>.align        word times as GRID has them
    splits.csv                     optional: columns path,split; videos that it does not name are in "test"

The speaker is the folder that holds the video (the video itself where that is the root). Hidden files are skipped. Of
videos whose names differ in the suffix only, the first by name is taken.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from synctalk.corpora.listing import (
    VIDEO_SUFFIXES,
    Entry,
    iter_files,
    make_clip,
    reject,
    require_inside,
    require_root,
)
from synctalk.corpora.records import SPLITS, Clip
from synctalk.corpora.transcript import Transcript, read_align, read_transcript
from synctalk.errors import ClipError, Reason, UserError
from synctalk.rejected import Rejected

MAX_NAME = 255
"""Bytes of a file's name on Linux."""
SPLIT_FILE = "splits.csv"


def _read_splits(path: Path) -> tuple[dict[str, set[str]], list[Rejected]]:
    """Path of a video -> its splits; and the lines that leave the corpus."""
    splits: dict[str, set[str]] = {}
    rejected: list[Rejected] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"path", "split"} <= set(rows.fieldnames or ()):
                raise UserError(path, "lacks the columns path,split", "give it that header line")
            for row in rows:
                source = f"{path.name}:{rows.line_num}"
                if row["split"] not in SPLITS:
                    raise UserError(source, f"{row['split']!r} is no split", f"take one of {', '.join(SPLITS)}")
                try:
                    splits.setdefault(require_inside(row["path"] or ""), set()).add(row["split"])
                except ClipError as error:
                    rejected.append(reject(source, error))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(path, "is no UTF-8 table", "save it as CSV with the columns path,split") from error
    return splits, rejected


def _read_beside(video: Path) -> Transcript | None:
    """The text beside a video; None where there is none.

    Raises:
        ClipError: `NO_TRANSCRIPT`: it cannot be used.
    """
    if video.with_suffix(".txt").is_file():
        return read_transcript(video.with_suffix(".txt"), plain=True)
    if video.with_suffix(".align").is_file():
        return read_align(video.with_suffix(".align"))
    return None


def _read_clip(root: Path, path: Path, splits: set[str]) -> Clip:
    if len(splits) > 1:
        raise ClipError(Reason.BAD_LISTING, f"{SPLIT_FILE} puts it into {' and '.join(sorted(splits))}")
    if len(os.fsencode(f"{path.stem}.align")) > MAX_NAME:
        raise ClipError(Reason.BAD_LISTING, "its name is so long that there is no room for that of its text")
    clip_id, video = path.with_suffix("").as_posix(), path.as_posix()
    speaker = path.parent.as_posix() if path.parent.parts else clip_id
    text, (split,) = _read_beside(root / path), splits
    return make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=text)


def read(root: Path) -> Iterator[Entry]:
    """List the videos and read the texts beside them.

    Raises:
        UserError: the root is missing, or splits.csv is malformed.
    """
    require_root(root)
    splits: dict[str, set[str]] = {}
    if (root / SPLIT_FILE).is_file():
        splits, rejected = _read_splits(root / SPLIT_FILE)
        yield from rejected
    for _, paths in groupby(iter_files(root), key=lambda path: path.parent):
        video_of: dict[str, str] = {}
        for path in paths:
            if path.suffix.lower() not in VIDEO_SUFFIXES:
                continue
            clip_id, video = path.with_suffix("").as_posix(), path.as_posix()
            if video_of.setdefault(clip_id, video) != video:
                yield reject(video, ClipError(Reason.DUPLICATE, f"has the same name as {video_of[clip_id]}"))
                continue
            try:
                yield _read_clip(root, path, splits.get(video, {"test"}))
            except ClipError as error:
                yield reject(clip_id, error)
    for video in splits:
        if not (root / video).is_file() or Path(video).suffix.lower() not in VIDEO_SUFFIXES:
            missing = ClipError(Reason.NO_VIDEO, f"{SPLIT_FILE} lists {video}, which is no video here")
            yield reject(video, missing)
