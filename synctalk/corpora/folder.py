"""Any folder of videos: mp4, mpg, mpeg, avi, mov, mkv, webm, at any depth, sound inside.

    <anything>/<clip>.mp4          and, beside it, <clip>.txt: the sentence, bare or in the LRS layout (optional)
    splits.csv                     optional: columns path,split; videos that it does not name are in "test"

The speaker is the folder that holds the video (the video itself where that is the root). Hidden files are skipped.
"""

from __future__ import annotations

import csv
from pathlib import Path

from synctalk.corpora.listing import Reading, make_clip, reading, reject, require_inside, require_root
from synctalk.corpora.records import SPLITS, Clip, Rejected
from synctalk.corpora.transcript import Transcript, read_transcript
from synctalk.errors import ClipError, Reason, UserError

SUFFIXES = frozenset({".mp4", ".mpg", ".mpeg", ".avi", ".mov", ".mkv", ".webm"})
SPLIT_FILE = "splits.csv"


def _read_splits(path: Path) -> dict[str, str]:
    """Path of a video -> split."""
    splits: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"path", "split"} <= set(rows.fieldnames or ()):
                raise UserError(path, "lacks the columns path,split", "give it that header line")
            for row in rows:
                source = f"{path.name}:{rows.line_num}"
                if row["split"] not in SPLITS:
                    raise UserError(source, f"{row['split']!r} is no split", f"take one of {', '.join(SPLITS)}")
                name = require_inside(row["path"] or "", source)
                if splits.setdefault(name, row["split"]) != row["split"]:
                    raise UserError(source, f"{name} stands in the split {splits[name]} too", "mend the list")
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(path, "is no UTF-8 table", "save it as CSV with the columns path,split") from error
    return splits


def read(root: Path) -> Reading:
    """List the videos and read the texts beside them.

    Raises:
        UserError: the root is missing, splits.csv is malformed, or two videos differ in their suffix only.
    """
    require_root(root)
    splits = _read_splits(root / SPLIT_FILE) if (root / SPLIT_FILE).is_file() else {}
    clips: list[Clip] = []
    rejected: list[Rejected] = []
    video_of: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in relative.parts):
            continue
        if not path.is_file():
            continue
        clip_id, video = relative.with_suffix("").as_posix(), relative.as_posix()
        if clip_id in video_of:
            raise UserError(root / video, f"has the same name as {video_of[clip_id]}", "rename one of them")
        video_of[clip_id] = video
        text: Transcript | None = None
        try:
            if path.with_suffix(".txt").is_file():
                text = read_transcript(path.with_suffix(".txt"), plain=True)
        except ClipError as error:
            rejected.append(reject(clip_id, error))
            continue
        speaker = relative.parent.as_posix() if relative.parent.parts else clip_id
        split = splits.get(video, "test")
        clips.append(make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=text))
    for video in sorted(set(splits) - set(video_of.values())):
        missing = ClipError(Reason.NO_VIDEO, f"{SPLIT_FILE} lists {video}, which is no video here")
        rejected.append(reject(Path(video).with_suffix("").as_posix(), missing))
    return reading(clips, rejected)
