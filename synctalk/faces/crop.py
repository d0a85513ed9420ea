"""Face crops and their way back into the frame.

Legend: T frames; boxes are whole pixels x1, y1, x2, y2, inside the frame, x2 and y2 exclusive. Peer: TalkLip @
    7ed53ee resizes the box to
96 x 96 with bilinear sampling and back (it clips x2 to the frame's height; here to its width).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


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
