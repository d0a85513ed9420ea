"""The mouth region of interest: a similarity to a mean face, then a square around the mouth.

Peer: av_hubert preparation/align_mouth.py @ 258fb50 aligns 68 landmarks to a mean face on a 256 x 256 canvas and
cuts 96 x 96 around the mouth; with 5 landmarks the same similarity is fitted to eyes, nose tip and mouth corners.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.section import section

CANVAS = 256
CANVAS_ROI = 96
"""The mouth square is 96 pixels of the 256 pixel canvas."""
MEAN_FACE = np.array([[102.0, 94.0], [156.0, 94.0], [128.5, 127.5], [107.0, 157.0], [152.0, 157.0]], np.float32)
"""Eyes, nose tip and mouth corners of an upright face on the canvas, in `FaceTrack` order."""


@section
class MouthParams:
    """The mouth region (params.yaml: `crop.mouth`)."""

    mode: Literal["mean_face", "centre"]
    """`mean_face`: similarity to the mean face (AV-HuBERT); `centre`: the middle of the stored frame (LRS2-style
    experts).
    """
    size: int
    """Side of the stored region, pixels: 96 in the paper."""
    centre_px: int
    """`centre` mode: side, in stored pixels, of the square that is cut from the middle of the frame."""


def fit_similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Least-squares similarity (rotation, scale, shift; no reflection) from `source` to `target`, [N, 2] each ->
    [2, 3].

    Closed form of Umeyama (1991), eqs. 34-36 and 39-43, in the plane.
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    s, t = source - mean_source, target - mean_target
    variance = float((s**2).sum())
    if variance == 0:
        raise ValueError("the landmarks coincide: no similarity can be fitted")
    a = float((s * t).sum()) / variance
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / variance
    linear = np.array([[a, -b], [b, a]])
    return np.concatenate([linear, (mean_target - linear @ mean_source)[:, None]], axis=1).astype(np.float32)


def mouth_transforms(
    landmarks: NDArray[np.float32], params: MouthParams, frame_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Maps from frame pixels to pixels of the mouth region, one a frame: landmarks [T, 5, 2] -> [T, 2, 3].

    Args:
        landmarks: of each frame, smoothed by the tracker.
        params: mode and size.
        frame_size: height and width of the frame, for `centre` mode.
    """
    if params.mode == "centre":
        height, width = frame_size
        scale = params.size / params.centre_px
        low = np.array([(width - params.centre_px) / 2, (height - params.centre_px) / 2])
        shift = 0.5 * scale - 0.5 - low * scale
        return np.tile(np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32), (len(landmarks), 1, 1))
    scale = params.size / CANVAS_ROI
    matrices = []
    for points in landmarks:
        matrix = fit_similarity(points, MEAN_FACE * scale)
        mouth = matrix @ np.append(points[3:].mean(0), 1)
        matrix[:, 2] += (params.size - 1) / 2 - mouth
        matrices.append(matrix)
    return np.stack(matrices)


def crop_mouth(frames: NDArray[np.uint8], transforms: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Grey mouth regions: RGB uint8 [T, H, W, 3], transforms [T, 2, 3] -> uint8 [T, size, size].

    Bilinear; pixels outside the frame repeat its edge.
    """
    out = np.empty((len(frames), size, size), np.uint8)
    for frame, matrix, target in zip(frames, transforms, out, strict=True):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        cv2.warpAffine(grey, matrix, (size, size), dst=target, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out
