"""Errors that a person can act on, and the closed set of reasons for which a clip is dropped."""

from __future__ import annotations

import errno
import os
from enum import StrEnum
from pathlib import Path


class UserError(Exception):
    """Bad input or a missing file: one line that names the file or key, the reason and the mend.

    Command lines print it without a trace and exit with 1.
    """

    def __init__(self, what: str | Path, reason: str, mend: str = "") -> None:
        # all arguments, so that the error survives pickling and thus comes out of a worker process
        super().__init__(what, reason, mend)
        self.line = f"{what}: {reason}" + (f"; {mend}" if mend else "")

    def __str__(self) -> str:
        return self.line


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def no_room(error: BaseException | None) -> UserError | None:
    """The one line of an error that comes of a full disk, a quota or a limit on the size of files; None of others."""
    while error is not None:
        sqlite = type(error).__name__ == "OperationalError" and "disk is full" in str(error)
        if sqlite or (isinstance(error, OSError) and error.errno in NO_ROOM):
            path = getattr(error, "filename2", None) or getattr(error, "filename", None)
            where = f" for {os.fsdecode(path)}" if isinstance(path, str | bytes | os.PathLike) else ""
            mend = "what is finished is kept: free some space and run it again"
            return UserError("disk", f"there is no room left{where}", mend)
        error = error.__cause__ or error.__context__
    return None


class Reason(StrEnum):
    """Why a clip was dropped: the whole set of values in the `reason` column of rejected.parquet."""

    NOT_LISTED = "not_listed"
    BAD_LISTING = "bad_listing"
    DUPLICATE = "duplicate"
    EMPTY_FILE = "empty_file"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    OVER_REPORTED_FRAMES = "over_reported_frames"
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    SILENT_AUDIO = "silent_audio"
    LENGTH_MISMATCH = "length_mismatch"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_TRANSCRIPT = "no_transcript"
    NO_FACE = "no_face"
    FACE_LOST = "face_lost"
    SEVERAL_FACES = "several_faces"
    FROZEN_FACE = "frozen_face"
    OUT_OF_SYNC = "out_of_sync"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"


class ClipError(Exception):
    """One clip cannot be used. Becomes a row of rejected.parquet, never a crash.

    Attributes:
        reason: member of the closed set.
        detail: one line for a person: the figure that was measured and the limit it broke.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)  # as in UserError
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
