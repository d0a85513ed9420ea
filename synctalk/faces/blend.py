"""Generated faces into footage without a seam: colours as the camera saw them, and a soft edge around the mouth.

The generator is given the upper half of the face, so what it does to colours there is known and can be undone below.
The tables' protocol pastes the whole box as it is (`synctalk.faces.crop.paste_back`); this is for people who look on.

Legend: N faces of S pixels; RGB uint8; boxes as in `synctalk.faces.crop`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

RIDGE = 2.5
"""Grey levels squared: how much colours must vary before they are mixed and not only shifted."""
BLUR = 5
"""Pixels over which faces are averaged before their colours are compared: detail that the generator lost is no
colour."""
FADE = 0.12
"""Share of the box over which the new face fades in from the middle downwards, and out at the chin."""
FADE_SIDE = 0.2
"""The same at the left and right edge."""


def colour_map(made: NDArray[np.uint8], real: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The affine map of colours, [4, 3], that takes the upper halves of `made` to those of `real`, [N, S, S, 3] each.

    Least squares with a small pull towards the identity: rows are the factors of R, G and B, then the shift.
    """

    def upper(faces: NDArray[np.uint8]) -> NDArray[np.float64]:
        half = [cv2.blur(face, (BLUR, BLUR))[BLUR : len(face) // 2 - BLUR] for face in faces]
        return np.stack(half)[:, ::3, ::3].reshape(-1, 3).astype(np.float64)

    source, target = upper(made), upper(real)
    source = np.concatenate([source, np.ones((len(source), 1))], axis=1)
    same = np.eye(4, 3)
    ridge = np.diag([RIDGE, RIDGE, RIDGE, 0.0]) * len(source)
    change: NDArray[np.float64] = np.linalg.solve(source.T @ source + ridge, source.T @ (target - source @ same))
    return same + change


def map_colours(faces: NDArray[np.uint8], colours: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Faces [..., 3] with the map of `colour_map` applied, rounded and clipped."""
    mapped: NDArray[np.float64] = faces @ colours[:3] + colours[3]
    return np.clip(np.rint(mapped), 0, 255).astype(np.uint8)


def mouth_weight(height: int, width: int) -> NDArray[np.float32]:
    """How much of the new face is seen at each pixel of a box: 0 in the upper half and at the edges, 1 around the
    mouth, smooth between; [height, width].
    """

    def rise(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.clip(x, 0, 1)
        return x * x * (3 - 2 * x)

    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    down = rise((y - 0.5) / FADE) * rise((1 - y) / FADE)
    across = rise(x / FADE_SIDE) * rise((1 - x) / FADE_SIDE)
    return np.outer(down, across).astype(np.float32)


def blend_back(frame: NDArray[np.uint8], face: NDArray[np.uint8], box: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A copy of `frame` with the lower half of `face` [S, S, 3], resized to the box, blended into its place.

    Pixels outside the box, and in its upper half, are untouched.
    """
    x1, y1, x2, y2 = (int(side) for side in box)
    weight = mouth_weight(y2 - y1, x2 - x1)[:, :, None]
    there = frame[y1:y2, x1:x2]
    new = cv2.resize(face, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    out = frame.copy()
    out[y1:y2, x1:x2] = np.rint(there + weight * (new.astype(np.float32) - there)).astype(np.uint8)
    return out
