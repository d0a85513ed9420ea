"""SSIM of two pictures here beside scikit-image's, set the same: core-milliseconds a pair, and the largest difference.

python benchmarks/ssim.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from synctalk.metrics.image import Image, ssim

SIZES = {"mouth": (36, 48), "face": (96, 96), "frame of LRS": (160, 160), "frame of GRID": (288, 360)}
PAIRS, REPEATS = 20, 5


def theirs(a: Image, b: Image) -> float:
    return float(
        structural_similarity(
            a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0
        )
    )


def milliseconds(score: Callable[[Image, Image], float], pairs: list[tuple[Image, Image]]) -> float:
    """Of one pair, the median over repeats."""
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        for a, b in pairs:
            score(a, b)
        taken.append((time.process_time() - start) / len(pairs))
    return 1e3 * median(taken)


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    print("| picture | pixels | scikit-image, ms | here, ms | | largest difference |\n|---|---|---:|---:|---:|---:|")
    for name, (height, width) in SIZES.items():
        pictures = rng.integers(0, 256, (PAIRS, height, width, 3), dtype=np.uint8)
        noisy = np.clip(pictures + rng.integers(-40, 41, pictures.shape), 0, 255).astype(np.uint8)
        pairs = list(zip(pictures, noisy, strict=True))
        slow, quick = milliseconds(theirs, pairs), milliseconds(ssim, pairs)
        apart = max(abs(theirs(a, b) - ssim(a, b)) for a, b in pairs)
        print(f"| {name} | {width} x {height} | {slow:.2f} | {quick:.2f} | {slow / quick:.1f} | {apart:.0e} |")


if __name__ == "__main__":
    main()
