"""Where the bytes of shards lie: a folder on disk, or whatever URL fsspec opens (s3://, https://, file://, memory://).

Disk needs the standard library alone; fsspec is imported for URLs only. A file system is asked for anew at every
reading: fsspec keeps one for each process, so that no connection is shared across a fork.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk.errors import UserError

TRIES = 5
"""Readings of one range before the network is given up."""

FIRST_WAIT_S = 0.5
"""Pause after the first failure; doubled after each."""

PIECE_BYTES = 16 * 1024**2
"""Longer ranges of a URL are fetched in pieces of this size, side by side."""

Location = str | Path
"""A path, or a URL as a string (`Path` would swallow one of its slashes)."""


@dataclass(frozen=True)
class ByteRange:
    """`size` bytes of a file, from `offset` on."""

    location: Location
    offset: int
    size: int


def is_url(location: Location) -> bool:
    """Whether fsspec is needed."""
    return "://" in str(location)


def join(folder: Location, name: str) -> Location:
    """A file or folder inside a folder, be it a path or a URL."""
    return f"{str(folder).rstrip('/')}/{name}" if is_url(folder) else Path(folder) / name


def read_file(location: Location) -> bytes:
    """A whole, small file.

    Raises:
        UserError: it is missing, may not be read, or the network failed too often.
    """
    if is_url(location):
        return _patiently([ByteRange(location, 0, -1)])[0]
    try:
        return Path(location).read_bytes()
    except OSError as error:
        raise _complaint(location, error) from error


def read_ranges(ranges: Sequence[ByteRange]) -> list[bytes]:
    """Bytes of each range, in order; shorter than asked for where the file ends before. URLs are read side by side.

    Raises:
        UserError: as `read_file`; or a web server sends whole files where a range was asked for.
    """
    if not any(is_url(wanted.location) for wanted in ranges):
        return [_read_local(wanted) for wanted in ranges]
    pieces = [list(_pieces(wanted)) for wanted in ranges]
    blobs = iter(_patiently([piece for several in pieces for piece in several]))
    return [b"".join(next(blobs) for _ in several) for several in pieces]


def _read_local(wanted: ByteRange) -> bytes:
    try:
        with open(wanted.location, "rb", buffering=0) as file:
            return os.pread(file.fileno(), wanted.size, wanted.offset)
    except OSError as error:
        raise _complaint(wanted.location, error) from error


def _pieces(wanted: ByteRange) -> Sequence[ByteRange]:
    end = wanted.offset + wanted.size
    starts = range(wanted.offset, end, PIECE_BYTES)
    return [ByteRange(wanted.location, start, min(PIECE_BYTES, end - start)) for start in starts]


def _fetch(ranges: Sequence[ByteRange]) -> list[bytes | Exception]:
    """One try at each range; a size of -1 stands for the whole file."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UserError(str(ranges[0].location), "needs fsspec", "pip install fsspec, and s3fs for s3://") from error
    results: list[bytes | Exception] = [b""] * len(ranges)
    systems: dict[Any, list[tuple[int, str]]] = {}
    for number, wanted in enumerate(ranges):
        try:
            system, path = url_to_fs(str(wanted.location))
        except (ImportError, ValueError) as error:  # a driver that is not installed; a scheme that nobody knows
            reason = " ".join(str(error).split())
            raise UserError(str(wanted.location), reason, "s3:// needs `pip install s3fs`") from error
        systems.setdefault(system, []).append((number, path))
    for system, places in systems.items():
        wanted_here = [ranges[number] for number, _ in places]
        starts = [wanted.offset if wanted.size >= 0 else None for wanted in wanted_here]
        ends = [wanted.offset + wanted.size if wanted.size >= 0 else None for wanted in wanted_here]
        blobs = system.cat_ranges([path for _, path in places], starts, ends)
        for (number, _), blob in zip(places, blobs, strict=True):
            results[number] = blob
    return results


def _patiently(ranges: Sequence[ByteRange]) -> list[bytes]:
    """Every range; those that failed for a while are tried again, a bounded number of times."""
    done: dict[int, bytes] = {}
    todo = list(range(len(ranges)))
    for attempt in range(TRIES):
        if attempt:
            time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
        failed = []
        for number, result in zip(todo, _fetch([ranges[number] for number in todo]), strict=True):
            wanted = ranges[number]
            if isinstance(result, Exception):
                if _beyond_the_end(result):
                    done[number] = b""
                elif not _by_chance(result) or attempt == TRIES - 1:
                    raise _complaint(wanted.location, result) from result
                else:
                    failed.append(number)
            elif 0 <= wanted.size < len(result):
                raise UserError(
                    str(wanted.location),
                    "the server sends whole files where a range of bytes is asked for",
                    "use one that answers ranges (nginx, Apache, object stores), or copy the folder to disk",
                )
            else:
                done[number] = result
        todo = failed
        if not todo:
            break
    return [done[number] for number in range(len(ranges))]


def _status(error: Exception) -> int:
    """HTTP status of an error of aiohttp; 0 for others."""
    status = getattr(error, "status", 0)
    return status if isinstance(status, int) else 0


def _beyond_the_end(error: Exception) -> bool:
    """Whether a range begins after the last byte: 416 of HTTP, InvalidRange of S3."""
    asked = getattr(error.__cause__, "response", None)
    code = asked.get("Error", {}).get("Code") if isinstance(asked, dict) else None
    return _status(error) == 416 or code == "InvalidRange"


def _denied(error: Exception) -> bool:
    return (
        isinstance(error, PermissionError)
        or _status(error) in (401, 403, 407)
        or type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound")
    )


_LASTING = (errno.EINVAL, errno.EPERM, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR)


def _by_chance(error: Exception) -> bool:
    """Whether the same reading may succeed in a moment: lost connections, time-outs, busy servers."""
    if isinstance(error, FileNotFoundError) or _denied(error):
        return False
    if _status(error):
        return _status(error) in (408, 425, 429) or _status(error) >= 500
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return type(error).__module__.split(".")[0] in ("aiohttp", "aiobotocore", "asyncio", "botocore", "fsspec")


def _complaint(location: Location, error: Exception) -> UserError:
    """The one line of an error that no patience helps."""
    what, mend = str(location), "upload the folder of shards" if is_url(location) else "run `dvc repro`"
    if isinstance(error, FileNotFoundError):
        return UserError(what, "is not there", mend)
    if _denied(error):
        mend = "give credentials that may read it" if is_url(location) else "ask its owner for the right to read it"
        return UserError(what, "access is denied", mend)
    words: Any = getattr(error, "strerror", None) or str(error) or type(error).__name__
    mend = "what is done is kept: run again when the network is back" if is_url(location) else "look at the disk"
    return UserError(what, f"cannot be read ({' '.join(str(words).split())})", mend)
