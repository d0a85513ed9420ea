"""Image quality of one frame (paper tables 1, 3 and 4): PSNR and SSIM of two face crops.

Source: Sxjdwang/TalkLip @7ed53ee, evaluation/visual_quality.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

PIXEL_MAX = 255.0
IDENTICAL_PSNR = 100.0
"""Stands for infinity, so that a mean over frames stays finite; as in the public evaluation."""


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

    Gaussian window of sigma 1.5, population covariance, data range 255, mean over pixels and channels.

    Raises:
        ValueError: not uint8, or of different shapes.
    """
    from skimage.metrics import structural_similarity

    _check_images(a, b)
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            a,
            b,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=PIXEL_MAX,
        )
    )


def _psnr_of_error(mean_squared_error: float) -> float:
    if mean_squared_error == 0:
        return IDENTICAL_PSNR
    return float(20 * np.log10(PIXEL_MAX / np.sqrt(mean_squared_error)))


def _check_images(a: Image, b: Image) -> None:
    if a.dtype != np.uint8 or b.dtype != np.uint8 or a.shape != b.shape or a.ndim != 3:
        raise ValueError(
            f"two uint8 images [H, W, 3] are needed; got {a.dtype} {list(a.shape)} and {b.dtype} {list(b.shape)}"
        )
