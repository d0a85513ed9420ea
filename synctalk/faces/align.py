"""The mouth region of interest: a similarity to a mean face, then a square around the mouth.

Peer: av_hubert preparation/align_mouth.py @ 258fb50 fits 5 stable points of 68 landmarks, averaged over a window of 12
frames, to a mean face on a canvas of 256 x 256 pixels, and cuts 96 x 96 around the mouth of each frame, at whole pixels
of the canvas. 68 and 106 landmarks are treated so. With 5 landmarks the similarity is fitted to all of them, and the
square lies around the middle of the mouth's corners to the fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.params.section import section

CANVAS = 256
CANVAS_ROI = 96
"""The mouth square is 96 pixels of the 256 pixel canvas."""
PEER_WINDOW = 12
"""Frames over which AV-HuBERT averages the stable points."""
MEAN_FACE = np.array([[102.0, 94.0], [156.0, 94.0], [128.5, 127.5], [107.0, 157.0], [152.0, 157.0]], np.float32)
"""Eyes, nose tip and mouth corners of an upright face on the canvas, in `FaceTrack` order."""
STABLE_FACE = np.array(
    [[128.8702, 137.3025], [92.5225, 94.3688], [112.7724, 94.9436], [145.5251, 94.5350], [166.6771, 93.5656]],
    np.float32,
)
"""Foot of the nose, and the corners of the eyes from the image's left to its right, of AV-HuBERT's mean face."""


@dataclass(frozen=True)
class Layout:
    """What the landmarks of a face mean.

    Attributes:
        stable: points that the similarity is fitted to.
        target: their places on the canvas.
        mouth: points whose mean is the middle of the mouth.
        whole_pixels: the square is cut at whole pixels of the canvas, inside it, as the peer does.
    """

    stable: tuple[int, ...]
    target: NDArray[np.float32]
    mouth: tuple[int, ...]
    whole_pixels: bool


LAYOUTS = {
    5: Layout((0, 1, 2, 3, 4), MEAN_FACE, (3, 4), whole_pixels=False),
    68: Layout((33, 36, 39, 42, 45), STABLE_FACE, tuple(range(48, 68)), whole_pixels=True),
    106: Layout(
        (80, 35, 39, 89, 93),
        STABLE_FACE,
        (52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55, 65, 66, 62, 70, 69, 57, 60, 54),
        whole_pixels=True,
    ),
}
"""By the number of landmarks: those of the detectors; iBUG's 68; insightface's 2d106, whose points are listed in the
order of the 68 points that they stand for (33, 36, 39, 42, 45; 48 to 67)."""


@section
class MouthParams:
    """The mouth region (params.yaml: `crop.mouth`)."""

    mode: Literal["mean_face", "centre"] = "mean_face"
    """`mean_face`: similarity to the mean face (AV-HuBERT); `centre`: the middle of the stored frame (LRS2-style
    experts).
    """
    size: int
    """Side of the stored region, pixels: 96 in the paper."""
    centre_px: int = 96
    """`centre` mode: side, in stored pixels, of the square that is cut from the middle of the frame."""
    window_frames: int
    """Frames, from each on, whose points are averaged before a similarity is fitted: 12 in AV-HuBERT. The last
    frames share the last full window.
    """


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


def window_means(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Means of `points` [T, N, 2] over the frames t .. t + width - 1; the last `width - 1` frames have the last full
    window's mean, and a clip shorter than the window has one mean. [T, N, 2].
    """
    width = min(width, len(points))
    sums = np.cumsum(np.concatenate([np.zeros_like(points[:1]), points]), axis=0, dtype=np.float64)
    means = (sums[width:] - sums[:-width]) / width
    return means[np.minimum(np.arange(len(points)), len(means) - 1)].astype(np.float32)


def _centre_transforms(n_frames: int, params: MouthParams, frame_size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = frame_size
    scale = params.size / params.centre_px
    low = np.array([(width - params.centre_px) / 2, (height - params.centre_px) / 2])
    shift = 0.5 * scale - 0.5 - low * scale
    return np.tile(np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32), (n_frames, 1, 1))


def mouth_transforms(
    landmarks: NDArray[np.float32], params: MouthParams, frame_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Maps from frame pixels to pixels of the mouth region, one a frame: landmarks [T, N, 2] -> [T, 2, 3].

    Args:
        landmarks: of each frame; N is 5, 68 or 106 (`LAYOUTS`).
        params: mode, size and window.
        frame_size: height and width of the frame, for `centre` mode.
    """
    if params.mode == "centre":
        return _centre_transforms(len(landmarks), params, frame_size)
    layout = LAYOUTS[landmarks.shape[1]]
    scale = params.size / CANVAS_ROI
    windows = window_means(landmarks[:, layout.stable], params.window_frames)
    mouths = landmarks[:, layout.mouth].mean(1)
    matrices = []
    for points, mouth in zip(windows, mouths, strict=True):
        matrix = fit_similarity(points, layout.target)
        middle = matrix @ np.append(mouth, 1)
        if layout.whole_pixels:
            # pixel 48 of the square is the canvas pixel nearest to the mouth
            half = CANVAS_ROI // 2
            matrix[:, 2] += half - np.clip(np.rint(middle), half, CANVAS - half)
            matrix *= scale
            matrix[:, 2] += (scale - 1) / 2
        else:
            matrix *= scale
            matrix[:, 2] += (params.size - 1) / 2 - middle * scale
        matrices.append(matrix)
    return np.stack(matrices)


def crop_mouth(frames: NDArray[np.uint8], transforms: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Grey mouth regions: RGB uint8 [T, H, W, 3], transforms [T, 2, 3] -> uint8 [T, size, size].

    Bilinear; pixels outside the frame repeat its edge. Grey is made of the region, not of the whole frame.
    """
    out = np.empty((len(frames), size, size), np.uint8)
    for frame, matrix, target in zip(frames, transforms, out, strict=True):
        region = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cv2.cvtColor(region, cv2.COLOR_RGB2GRAY, dst=target)
    return out
