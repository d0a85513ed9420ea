"""Face crops and their way back into the frame.

Legend: T frames; boxes are whole pixels x1, y1, x2, y2, inside the frame, x2 and y2 exclusive. Peer: TalkLip @
    7ed53ee resizes the box to
96 x 96 with bilinear sampling and back (it clips x2 to the frame's height; here to its width).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

SYNCNET_SIDE = 224
SYNCNET_MARGIN = 0.4
"""Share of the box that SyncNet's crop adds to each side, and twice below."""
SYNCNET_MEDIAN = 13
"""Frames of the median filter over the box; ends see zeros beyond the clip, as in the release."""
SYNCNET_PAD = 110
"""Grey level outside the frame."""


def whole_boxes(boxes: NDArray[np.float32], frame_size: tuple[int, int]) -> NDArray[np.int32]:
    """Boxes [T, 4] rounded to whole pixels and clipped to the frame (height, width); at least 2 pixels each way."""
    height, width = frame_size
    whole = np.rint(boxes).astype(np.int32)
    whole[:, 0] = np.clip(whole[:, 0], 0, width - 2)
    whole[:, 1] = np.clip(whole[:, 1], 0, height - 2)
    whole[:, 2] = np.clip(whole[:, 2], whole[:, 0] + 2, width)
    whole[:, 3] = np.clip(whole[:, 3], whole[:, 1] + 2, height)
    return whole


def crop_face(frame: NDArray[np.uint8], box: NDArray[np.int32], size: int) -> NDArray[np.uint8]:
    """The box of one frame, uint8 [H, W, C], resized to uint8 [size, size, C]."""
    x1, y1, x2, y2 = box
    return np.asarray(cv2.resize(frame[y1:y2, x1:x2], (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def crop_faces(frames: NDArray[np.uint8], boxes: NDArray[np.int32], size: int) -> NDArray[np.uint8]:
    """`crop_face` of every frame: [T, H, W, C], [T, 4] -> uint8 [T, size, size, C]."""
    return np.stack([crop_face(frame, box, size) for frame, box in zip(frames, boxes, strict=True)])


def paste_back(frame: NDArray[np.uint8], face: NDArray[np.uint8], box: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A copy of `frame` with `face` [S, S, C], resized to the box, in its place.

    Pixels outside the box are untouched.
    """
    x1, y1, x2, y2 = box
    out = frame.copy()
    out[y1:y2, x1:x2] = cv2.resize(face, (int(x2 - x1), int(y2 - y1)), interpolation=cv2.INTER_LINEAR)
    return out


def mouth_region(side: int) -> tuple[slice, slice]:
    """Rows and columns of a face crop of `side` pixels in which the mouth lies: the lower 3/8, the middle half."""
    return slice(side * 9 // 16, side * 15 // 16), slice(side // 4, side * 3 // 4)


def syncnet_crops(frames: Iterable[NDArray[np.uint8]], boxes: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
    """The crops that SyncNet is shown of footage in the wild: T frames [H, W, 3], which may come one by one, and their
    boxes [T, 4] -> T crops [224, 224, 3].

    A square around the face with margins, its size and centre median-filtered over the clip. Source:
    joonson/syncnet_python @6efbb1c, `crop_video` of run_pipeline.py.

    Raises:
        ValueError: fewer than 7 frames, of which the filter would make a box of no size.
    """
    if len(boxes) <= SYNCNET_MEDIAN // 2:
        raise ValueError(f"{len(boxes)} frames are too few for a median over {SYNCNET_MEDIAN}")
    half = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) / 2
    measured = (half, (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    sizes, xs, ys = (
        # zeros beyond the ends, as scipy.signal.medfilt in the peer, which warns of clips shorter than its window
        median_filter(values.astype(np.float64), SYNCNET_MEDIAN, mode="constant")
        for values in measured
    )
    for frame, size, x, y in zip(frames, sizes, xs, ys, strict=True):
        pad = int(size * (1 + 2 * SYNCNET_MARGIN))
        padded = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(SYNCNET_PAD,) * 3)
        top, bottom = int(y + pad - size), int(y + pad + size * (1 + 2 * SYNCNET_MARGIN))
        left, right = int(x + pad - size * (1 + SYNCNET_MARGIN)), int(x + pad + size * (1 + SYNCNET_MARGIN))
        square = padded[max(0, top) : bottom, max(0, left) : right]
        yield np.asarray(cv2.resize(square, (SYNCNET_SIDE, SYNCNET_SIDE)), np.uint8)
