"""A clip's small pictures as one JPEG: a mosaic, 16 frames a row, that any viewer shows as a contact sheet.

One JPEG a clip decodes ten times faster than H.264 of the same frames and needs no video decoder on the training
machine. Frame sides are whole multiples of the codec's blocks, so frames do not bleed into each other. A restart marker
(ITU-T T.81, E.1.4) stands after every row of blocks of a frame, so that some frames can be decoded without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

COLUMNS = 16
BLOCK = 8
"""JPEG blocks without chroma subsampling: frame sides must be multiples of it."""
END = b"\xff\xd9"
RESTARTS = [bytes((0xFF, 0xD0 + i)) for i in range(8)]
MAX_SIDE = 65_500
"""Pixels that libjpeg writes and reads a JPEG wide and high."""


def encode_mosaic(frames: NDArray[np.uint8], quality: int) -> bytes:
    """Frames, RGB [T, S, S, 3] or grey [T, S, S] uint8, as JPEG bytes. Equal frames give equal bytes.

    Raises:
        ValueError: S is no multiple of `BLOCK`.
    """
    n_frames, side = frames.shape[:2]
    if side % BLOCK:
        raise ValueError(f"frames of {side} pixels do not fit the JPEG blocks of {BLOCK}")
    n_rows = -(-n_frames // COLUMNS)
    padded = np.concatenate([frames, np.repeat(frames[-1:], n_rows * COLUMNS - n_frames, axis=0)])
    grid = padded.reshape(n_rows, COLUMNS, *frames.shape[1:]).swapaxes(1, 2)
    picture = grid.reshape(n_rows * side, COLUMNS * side, *frames.shape[3:])
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, side // BLOCK]
    if frames.ndim == 4:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, blob = cv2.imencode(".jpg", picture, options)
    if not done:
        raise ValueError(f"OpenCV could not encode a mosaic of {picture.shape}")
    return blob.tobytes()


@dataclass(frozen=True)
class _Header:
    """What stands before the coded picture: its length, where height and width stand in it, and what it says."""

    size: int
    height_at: int
    height: int
    width: int
    components: int
    restart_interval: int

    def decode(self, blob: bytes) -> NDArray[np.uint8]:
        """The picture of `blob`, which begins with this header: RGB [H, W, 3], or grey [H, W].

        Raises:
            ValueError: the decoder makes nothing of it.
        """
        flag = cv2.IMREAD_GRAYSCALE if self.components == 1 else cv2.IMREAD_COLOR_RGB
        picture = cv2.imdecode(np.frombuffer(blob, np.uint8), flag)
        if picture is None:
            raise ValueError("the bytes are no JPEG")
        return np.asarray(picture, np.uint8)

    def of_picture(self, blob: bytes, height: int, width: int) -> bytes:
        """The header for another size of picture."""
        at = self.height_at
        size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        return blob[:at] + size + blob[at + 4 : self.size]


def _read_header(blob: bytes) -> _Header:
    """The segments of a baseline JPEG up to its coded picture.

    Raises:
        ValueError: it is none, or breaks off.
    """
    at, height_at, interval = 2, 0, 0
    while blob[:2] == b"\xff\xd8" and at + 4 <= len(blob):
        kind, size = blob[at + 1], int.from_bytes(blob[at + 2 : at + 4], "big")
        if kind == 0xC0:
            height_at = at + 5
        elif kind == 0xDD:
            interval = int.from_bytes(blob[at + 4 : at + 6], "big")
        at += 2 + size
        if kind == 0xDA and height_at:
            height, width = (int.from_bytes(blob[i : i + 2], "big") for i in (height_at, height_at + 2))
            return _Header(at, height_at, height, width, blob[height_at + 4], interval)
    raise ValueError("the bytes are no JPEG")


def _grid(header: _Header) -> tuple[int, int]:
    """Side of a frame, and rows of frames.

    Raises:
        ValueError: the picture is no mosaic.
    """
    side = header.width // COLUMNS
    if not side or header.height % side:
        raise ValueError(f"a picture of {header.width} x {header.height} pixels is no mosaic of {COLUMNS} columns")
    return side, header.height // side


def _require_frames(n_rows: int, n_frames: int) -> None:
    if n_rows * COLUMNS < n_frames:
        raise ValueError(f"the mosaic holds at most {n_rows * COLUMNS} frames, {n_frames} are asked for")


def decode_mosaic(blob: bytes, n_frames: int) -> NDArray[np.uint8]:
    """The first `n_frames` frames of `encode_mosaic`'s bytes: RGB uint8 [T, S, S, 3], or grey [T, S, S].

    Raises:
        ValueError: the bytes are no mosaic of so many frames.
    """
    header = _read_header(blob)
    side, n_rows = _grid(header)
    _require_frames(n_rows, n_frames)
    picture = header.decode(blob)
    grid = picture.reshape(n_rows, side, COLUMNS, side, *picture.shape[2:]).swapaxes(1, 2)
    frames = grid.reshape(n_rows * COLUMNS, side, side, *picture.shape[2:])
    return np.ascontiguousarray(frames[:n_frames], np.uint8)


def _coded_pieces(blob: bytes, header: _Header) -> NDArray[np.int64]:
    """Where the pieces between restart markers begin and end, [N, 2]: a row of blocks of one frame each, in the order
    of the picture.
    """
    # in the coded picture a byte 0xff is followed by 0 or by a marker
    coded = np.frombuffer(blob, np.uint8, offset=header.size)
    full = np.flatnonzero(coded[:-1] == 0xFF)
    markers = header.size + full[coded[full + 1] & 0xF8 == 0xD0]
    starts = np.concatenate([[header.size], markers + 2])
    return np.stack([starts, np.append(markers, len(blob) - len(END))], axis=1)


def decode_frames(blob: bytes, numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Some frames of `encode_mosaic`'s bytes, bit for bit as `decode_mosaic` gives them; the others are not decoded.

    Args:
        blob: the mosaic.
        numbers: frames, in any order.

    Raises:
        ValueError: no frames, more than fit a JPEG one upon another, frames that the mosaic does not have, or bytes
            that are no mosaic with restart markers.
    """
    header = _read_header(blob)
    side, n_rows = _grid(header)
    if header.restart_interval != side // BLOCK:
        raise ValueError("the mosaic has no restart marker after each row of blocks of a frame; pack it again")
    if not numbers or len(numbers) * side > MAX_SIDE:
        raise ValueError(f"{len(numbers)} frames are asked for; 1 to {MAX_SIDE // side} fit")
    if min(numbers) < 0:
        raise ValueError(f"frame {min(numbers)} is asked for")
    _require_frames(n_rows, max(numbers) + 1)
    pieces = _coded_pieces(blob, header)
    blocks = side // BLOCK
    if len(pieces) != n_rows * COLUMNS * blocks:
        raise ValueError("the mosaic breaks off, or is none")
    by_frame = pieces.reshape(n_rows, blocks, COLUMNS, 2).swapaxes(1, 2).reshape(-1, blocks, 2)
    wanted = by_frame[list(numbers)].reshape(-1, 2).tolist()
    parts = [header.of_picture(blob, len(numbers) * side, side)]
    for number, (start, stop) in enumerate(wanted):
        # markers count from 0 to 7 and over again
        parts += [blob[start:stop], RESTARTS[number % 8]]
    parts[-1] = END
    return header.decode(b"".join(parts)).reshape(len(numbers), side, side, *([3] if header.components == 3 else []))
