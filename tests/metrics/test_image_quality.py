from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity import assert_close, reference

from synctalk.metrics.image import psnr, psnr_uint8, ssim


@pytest.mark.parametrize("pair", range(4))
def test_figures_are_the_peers(shared: Path, pair: int) -> None:
    theirs = reference(shared, "image_quality")
    a, b = theirs[f"pair{pair}.a"], theirs[f"pair{pair}.b"]
    assert_close(psnr(a, b), theirs[f"pair{pair}.psnr_talklip_float"], 1e-6)
    assert_close(psnr_uint8(a, b), theirs[f"pair{pair}.psnr_talklip_as_written"], 1e-6)
    assert_close(ssim(a, b), theirs[f"pair{pair}.ssim_talklip"], 1e-5)


def grey_level(value: int) -> np.ndarray:
    return np.full((16, 16, 3), value, dtype=np.uint8)


def test_psnr_by_hand() -> None:
    assert psnr(grey_level(100), grey_level(110)) == pytest.approx(20 * np.log10(25.5))
    assert psnr(grey_level(110), grey_level(100)) == pytest.approx(20 * np.log10(25.5))
    assert psnr(grey_level(0), grey_level(255)) == pytest.approx(0.0)


def test_uint8_psnr_wraps_by_hand() -> None:
    """A difference of 20 squares to 400, which is 144 modulo 256; one of 16 to 0."""
    assert psnr_uint8(grey_level(100), grey_level(120)) == pytest.approx(20 * np.log10(255 / 12))
    assert psnr_uint8(grey_level(100), grey_level(116)) == 100.0


def test_unlike_images_have_a_uint8_psnr_of_about_28_db() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    assert psnr_uint8(a, b) == pytest.approx(28, abs=1)
    assert psnr(a, b) == pytest.approx(7.75, abs=0.2)


@pytest.mark.parametrize("shape", [(11, 11), (36, 48), (96, 96), (50, 201)])
@pytest.mark.parametrize("noise", [0, 3, 60, 255])
def test_ssim_is_scikit_images(shape: tuple[int, int], noise: int) -> None:
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(noise)
    a = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    b = np.clip(a + rng.integers(-noise, noise + 1, a.shape), 0, 255).astype(np.uint8)
    theirs = structural_similarity(
        a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0
    )
    assert ssim(a, b) == pytest.approx(theirs, abs=1e-13)


def test_ssim_needs_a_whole_window() -> None:
    small = np.zeros((10, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="11 pixels a side"):
        ssim(small, small)


def test_identical_images() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert psnr(image, image) == psnr_uint8(image, image) == 100.0
    assert ssim(image, image) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", [psnr, psnr_uint8, ssim])
def test_other_images_are_refused(metric: object) -> None:
    image = grey_level(0)
    for other in (image.astype(np.float32), image[:8], image[..., 0]):
        with pytest.raises(ValueError, match="two uint8 images"):
            metric(image, other)
