"""Files that were cut off: the container says how long it is, and the file is shorter.

MPEG program and transport streams say nothing of their length; cut off, they are shorter clips like any other.
Sources: ISO/IEC 14496-12 §4.2 (boxes), Matroska RFC 9559 §6 and EBML RFC 8794 §4, RIFF of WAV and AVI.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

BOXES = frozenset({b"ftyp", b"styp", b"sidx", b"moov", b"moof", b"mdat"})
"""Boxes at the top of an MP4 that must be whole; what stands behind the last of them is nobody's."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_UNKNOWN_RIFF = (0, 0xFFFFFFFF)


def promised_bytes(path: Path) -> int | None:
    """The least length of a whole file as its container states it; None where it states none."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in BOXES:
            return _mp4_bytes(file)
        if head[:4] == b"RIFF" and len(head) == 12:
            size = int(struct.unpack_from("<I", head, 4)[0])
            return None if size in _UNKNOWN_RIFF else 8 + size
        if head[:4] == _EBML:
            return _matroska_bytes(file)
    return None


def _mp4_bytes(file: BinaryIO) -> int | None:
    """End of the last box that counts; boxes that reach to the end of the file say nothing."""
    offset, end = 0, None
    while True:
        file.seek(offset)
        head = file.read(16)
        if len(head) < 8:
            return end
        size, kind = struct.unpack_from(">I4s", head)
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
        if size < 8:
            return end
        if kind in BOXES:
            end = offset + int(size)
        offset += int(size)


def _vint(file: BinaryIO) -> int | None:
    """EBML's variable-length size; None where it is unknown or broken."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + rest, "big")
    whole = len(rest) == length - 1 and value != (1 << (7 * length)) - 1
    return value if whole else None


def _matroska_bytes(file: BinaryIO) -> int | None:
    file.seek(len(_EBML))
    header = _vint(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return None
    segment = _vint(file)
    return None if segment is None else file.tell() + segment
