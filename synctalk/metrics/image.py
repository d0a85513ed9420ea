"""Image quality of one frame (paper tables 1, 3 and 4): PSNR and SSIM of two face crops.

Source: Sxjdwang/TalkLip @7ed53ee, evaluation/visual_quality.py.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

PIXEL_MAX = 255.0
IDENTICAL_PSNR = 100.0
"""Stands for infinity, so that a mean over frames stays finite; as in the public evaluation."""
SSIM_REACH, SSIM_SIGMA, SSIM_K1, SSIM_K2 = 5, 1.5, 0.01, 0.03
"""Of Wang et al. 2004: pixels on either side that the window sees, its width, and what keeps quotients finite."""
SSIM_WINDOW = np.exp(-0.5 * np.square(np.arange(-SSIM_REACH, SSIM_REACH + 1) / SSIM_SIGMA))
SSIM_WINDOW /= SSIM_WINDOW.sum()


def psnr(a: Image, b: Image) -> float:
    """Peak signal-to-noise ratio in dB, higher is closer; two uint8 [H, W, 3]. Identical images give 100.

    Raises:
        ValueError: not uint8, or of different shapes.
    """
    _check_images(a, b)
    return _psnr_of_error(float(np.square(a.astype(np.float64) - b).mean()))


def psnr_uint8(a: Image, b: Image) -> float:
    """The public evaluation's PSNR, to stand beside the paper's; not a quality measure.

    It subtracts and squares uint8, both modulo 256, so any two unlike images score about 28 dB. Identical images
    give 100, and so do images whose differences are all multiples of 16.

    Raises:
        ValueError: not uint8, or of different shapes.
    """
    _check_images(a, b)
    return _psnr_of_error(float(np.square(a - b).mean()))


def ssim(a: Image, b: Image) -> float:
    """Structural similarity in -1..1, higher is closer; two uint8 [H, W, 3], at least 11 pixels a side.

    Gaussian window of sigma 1.5, population covariance, data range 255, mean over channels and over the pixels whose
    window lies in the image: scikit-image's `structural_similarity` so set, to rounding, in half its time or less.

    Raises:
        ValueError: not uint8, of different shapes, or smaller.
    """
    _check_images(a, b)
    if min(a.shape[:2]) <= 2 * SSIM_REACH:
        raise ValueError(f"SSIM needs {2 * SSIM_REACH + 1} pixels a side; got {list(a.shape)}")
    # a channel of a face fits into memory that is at hand, all three do not
    return float(np.mean([_ssim_of_channel(a[..., channel], b[..., channel]) for channel in range(a.shape[2])]))


def _ssim_of_channel(a: Image, b: Image) -> float:
    """Wang et al. 2004, eq. 13, of two uint8 [H, W]."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y, mean_of_squares, mean_of_product = map(_window_mean, (x, y, x * x + y * y, x * y))
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    c1, c2 = (SSIM_K1 * PIXEL_MAX) ** 2, (SSIM_K2 * PIXEL_MAX) ** 2
    alike = (2 * product + c1) * (2 * (mean_of_product - product) + c2)
    return float((alike / ((squares + c1) * (mean_of_squares - squares + c2))).mean())


def _window_mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means of [H, W] where the window lies inside, [H - 10, W - 10]."""
    means = np.asarray(cv2.sepFilter2D(x, -1, SSIM_WINDOW, SSIM_WINDOW), np.float64)
    return means[SSIM_REACH:-SSIM_REACH, SSIM_REACH:-SSIM_REACH]


def _psnr_of_error(mean_squared_error: float) -> float:
    if mean_squared_error == 0:
        return IDENTICAL_PSNR
    return float(20 * np.log10(PIXEL_MAX / np.sqrt(mean_squared_error)))


def _check_images(a: Image, b: Image) -> None:
    if a.dtype != np.uint8 or b.dtype != np.uint8 or a.shape != b.shape or a.ndim != 3:
        raise ValueError(
            f"two uint8 images [H, W, 3] are needed; got {a.dtype} {list(a.shape)} and {b.dtype} {list(b.shape)}"
        )
