"""A clip's small pictures as one JPEG: a mosaic, 16 frames a row, that any viewer shows as a contact sheet.

One JPEG a clip decodes ten times faster than H.264 of the same frames and needs no video decoder on the training
machine. Frame sides are whole multiples of the codec's blocks, so frames do not bleed into each other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

COLUMNS = 16
BLOCK = 8
"""JPEG blocks without chroma subsampling: frame sides must be multiples of it."""


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
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if frames.ndim == 4:
        picture = picture[..., ::-1]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, blob = cv2.imencode(".jpg", picture, options)
    if not done:
        raise ValueError(f"OpenCV could not encode a mosaic of {picture.shape}")
    return blob.tobytes()


def decode_mosaic(blob: bytes, n_frames: int) -> NDArray[np.uint8]:
    """The first `n_frames` frames of `encode_mosaic`'s bytes: RGB uint8 [T, S, S, 3], or grey [T, S, S].

    Raises:
        ValueError: the bytes are no mosaic of so many frames.
    """
    picture = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError("the bytes are no JPEG")
    side = picture.shape[1] // COLUMNS
    n_rows = picture.shape[0] // side
    if n_rows * COLUMNS < n_frames:
        raise ValueError(f"the mosaic holds at most {n_rows * COLUMNS} frames, {n_frames} are asked for")
    if picture.ndim == 3:
        picture = picture[..., ::-1]
    grid = picture.reshape(n_rows, side, COLUMNS, side, *picture.shape[2:]).swapaxes(1, 2)
    frames = grid.reshape(n_rows * COLUMNS, side, side, *picture.shape[2:])
    return np.ascontiguousarray(frames[:n_frames], np.uint8)
