"""What the readers of all layouts share: roots, safe relative paths, list files, and the outcome of a reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from synctalk.corpora.records import Clip, Rejected
from synctalk.corpora.transcript import Transcript
from synctalk.errors import ClipError, Reason, UserError

STAGE = "index"
FACE_TRACKS = "face_tracks"
"""Folder of published face tracks, <clip id>.npz, at the root of a corpus that has them (the synthetic ones)."""


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


def require_inside(relative: str, source: str) -> str:
    """`relative` in its plain form, if it can name something inside the root.

    Args:
        relative: path that a list file gives.
        source: file and line, for the message.

    Raises:
        UserError: the path is absolute, empty, no path at all, or has a ".." in it.
    """
    path = PurePosixPath(relative)
    plain = "\\" not in relative and "\0" not in relative and all(len(part.encode()) < 256 for part in path.parts)
    if not path.parts or path.is_absolute() or ".." in path.parts or not plain:
        shown = repr(relative if len(relative) < 80 else f"{relative[:76]}...")
        raise UserError(source, f"{shown} names nothing inside the corpus", "mend the list: paths start at the root")
    return path.as_posix()


def iter_list(path: Path) -> Iterator[tuple[str, str]]:
    """First token of every line of a list file, checked by `require_inside`, with "file:line"; blank lines are skipped.

    Raises:
        UserError: the file is missing or no UTF-8 text, or a path leaves the corpus.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise UserError(path, "is not there", "a list file of the corpus is missing: copy it to the root") from error
    except UnicodeDecodeError as error:
        raise UserError(path, "is no UTF-8 text", "replace it by the corpus's own list") from error
    for number, line in enumerate(lines, 1):
        if tokens := line.split():
            source = f"{path.name}:{number}"
            yield require_inside(tokens[0], source), source


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


def reading(clips: list[Clip], rejected: list[Rejected]) -> Reading:
    """Both lists, sorted by id."""
    return Reading(
        tuple(sorted(clips, key=lambda clip: clip.id)), tuple(sorted(rejected, key=lambda row: (row.id, row.detail)))
    )
