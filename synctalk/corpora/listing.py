"""What the readers of all layouts share: roots, safe relative paths, list files, and the outcome of a reading."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from synctalk.corpora.records import Clip, Rejected
from synctalk.corpora.transcript import Transcript
from synctalk.errors import ClipError, Reason, UserError

STAGE = "index"
FACE_TRACKS = "face_tracks"
"""Folder of published face tracks, <clip id>.npz, at the root of a corpus that has them (the synthetic ones)."""
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mpg", ".mpeg", ".avi", ".mov", ".mkv", ".webm"})
"""What the layouts without a fixed video format take for a video, in either case."""
MAX_PATH = 1024
"""Bytes of a path inside a corpus: the system's limit is 4096, the root and what is made of the path included."""
_MEDIA_ENDING = re.compile(r"\.(mp4|m4a|wav|txt)$")
_SEGMENT = re.compile(r"(.+)/\d{6,}-\d{6,}")


@dataclass(frozen=True)
class Listed:
    """A line of a list file: the path that it gives, and where it stands ("train.txt:7")."""

    name: str
    source: str


Entry = Clip | Rejected
"""What a reader yields: a usable clip, or why something that is listed or there is none."""


@dataclass(frozen=True)
class Reading:
    """What a reader found: usable clips, and those that are paired wrongly; both sorted by id."""

    clips: tuple[Clip, ...]
    rejected: tuple[Rejected, ...]


def require_root(root: Path) -> None:
    """Check that the corpus is there.

    Raises:
        UserError: it is not.
    """
    if not root.is_dir():
        raise UserError(root, "is not there", "set corpora.<name>.root in params.yaml to the folder of the corpus")


def require_inside(relative: str) -> str:
    """`relative`, a path that a list file gives, in its plain form, if it can name something inside the root.

    Raises:
        ClipError: `BAD_LISTING`: the path is absolute, empty, no path at all, or has a ".." in it.
    """
    path = PurePosixPath(relative)
    plain = "\\" not in relative and "\0" not in relative and len(relative.encode()) < MAX_PATH
    plain = plain and all(len(part.encode()) < 256 for part in path.parts)
    if not path.parts or path.is_absolute() or ".." in path.parts or not plain:
        shown = repr(relative if len(relative) < 80 else f"{relative[:76]}...")
        raise ClipError(Reason.BAD_LISTING, f"{shown} names nothing inside the corpus")
    return path.as_posix()


def read_list(path: Path) -> tuple[list[Listed], list[Rejected]]:
    """The paths in a list file, without the ending of a media file, and the lines that leave the corpus.

    A path is the first token of a line; further tokens (LRS2's NF and MV) are left alone, blank lines skipped. A line
    that leaves the corpus has no clip: its row is named after the line ("test.txt:7").

    Raises:
        UserError: the file is missing or no UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise UserError(path, "is not there", "a list file of the corpus is missing: copy it to the root") from error
    except UnicodeDecodeError as error:
        raise UserError(path, "is no UTF-8 text", "replace it by the corpus's own list") from error
    listed: list[Listed] = []
    rejected: list[Rejected] = []
    for number, line in enumerate(lines, 1):
        if tokens := line.split():
            source = f"{path.name}:{number}"
            try:
                listed.append(Listed(_MEDIA_ENDING.sub("", require_inside(tokens[0])), source))
            except ClipError as error:
                rejected.append(reject(source, error))
    return listed, rejected


def iter_files(root: Path) -> Iterator[Path]:
    """Files below `root`, relative to it, in a fixed order; links are followed, each folder once; hidden ones are left
    out.

    Raises:
        UserError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(error.filename, f"cannot be read ({error.strerror})", "mend its permissions") from error

    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (Path(folder, name).relative_to(root) for name in sorted(names) if not name.startswith("."))
        seen.add(real)


def is_hidden(path: Path) -> bool:
    """Whether the file's name starts with a dot: what other systems leave behind (._00001.mp4), not a clip."""
    return path.name.startswith(".")


def published_track(root: Path, clip_id: str) -> str:
    """Path of the clip's published face track, relative to the root; "" where there is none."""
    relative = f"{FACE_TRACKS}/{clip_id}.npz"
    return relative if (root / relative).is_file() else ""


def make_clip(
    root: Path, clip_id: str, *, speaker: str, split: str, video: str, audio: str, transcript: Transcript | None
) -> Clip:
    """A clip that has not been probed yet, its published track attached."""
    return Clip(
        id=clip_id,
        speaker=speaker,
        split=split,
        video=video,
        audio=audio,
        transcript=transcript.text if transcript else "",
        words=transcript.words if transcript else (),
        face_track=published_track(root, clip_id),
    )


def require_file(root: Path, relative: str, reason: Reason) -> None:
    """Check that a file of a clip is there.

    Raises:
        ClipError: it is not, for `reason`.
    """
    if not (root / relative).is_file():
        raise ClipError(reason, f"{relative} is not there")


def reject(clip_id: str, error: ClipError) -> Rejected:
    """The row of a clip that the reader could not use."""
    return Rejected(clip_id, STAGE, error.reason, error.detail)


def not_listed(clip_ids: Iterable[str], lists: str) -> Iterator[Rejected]:
    """Rows of the clips that are there and that none of `lists` names."""
    return (reject(clip_id, ClipError(Reason.NOT_LISTED, f"is not named in {lists}")) for clip_id in clip_ids)


def segment_id(clip_id: str, first_frame: int, stop_frame: int) -> str:
    """Id of the segment of a clip from one frame of its file's 25 fps time line up to another, which is not its own.

    Sorts by time, is a WebDataset key where the clip's id is one, and is no other clip's id (`impostors` are dropped).
    """
    return f"{clip_id}/{first_frame:06d}-{stop_frame:06d}"


def segment_parent(clip_id: str) -> str | None:
    """Id of the clip of which `clip_id`, by its form, could be a segment; None where it has another form."""
    match = _SEGMENT.fullmatch(clip_id)
    return match[1] if match else None


def impostors(clip_ids: Callable[[], Iterable[str]]) -> frozenset[str]:
    """Clips that are named as a segment of another one would be.

    Args:
        clip_ids: gives the ids of a corpus, once for each of two passes.
    """
    parent_of = {clip_id: parent for clip_id in clip_ids() if (parent := segment_parent(clip_id))}
    parents = set(parent_of.values())
    there = {clip_id for clip_id in clip_ids() if clip_id in parents} if parents else set()
    return frozenset(clip_id for clip_id, parent in parent_of.items() if parent in there)


def impostor_error(clip: Clip) -> ClipError:
    """Why one of `impostors` is dropped."""
    return ClipError(Reason.DUPLICATE, f"{clip.video} is named as a segment of {segment_parent(clip.id)} would be")


def reading(entries: Iterable[Entry]) -> Reading:
    """All that a reader yields, in memory, sorted by id; `impostors` are dropped."""
    found = list(entries)
    clips = sorted((entry for entry in found if isinstance(entry, Clip)), key=lambda clip: clip.id)
    dropped = impostors(lambda: [clip.id for clip in clips])
    rejected = [entry for entry in found if isinstance(entry, Rejected)]
    rejected += [reject(clip.id, impostor_error(clip)) for clip in clips if clip.id in dropped]
    return Reading(
        tuple(clip for clip in clips if clip.id not in dropped),
        tuple(sorted(rejected, key=lambda row: (row.id, row.detail))),
    )
