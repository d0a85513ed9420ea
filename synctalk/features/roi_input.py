"""Mouth crops as the lip readers see them: grey, centre crop, standardised. For numpy arrays and for torch tensors.

Source: facebookresearch/av_hubert @258fb50; Sxjdwang/TalkLip @7ed53ee (grey of generated faces).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

A = TypeVar("A", "NDArray[np.uint8]", "NDArray[np.float32]", "Tensor")

ROI_SIZE = 96
CROP_SIZE = 88
MEAN, STD = 0.421, 0.165


def grey(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BGR uint8 [..., 3] -> uint8 [...], bit for bit as OpenCV's BGR2GRAY."""
    weights = np.array([3735, 19235, 9798])
    levels: NDArray[np.uint8] = ((frames @ weights + (1 << 14)) >> 15).astype(np.uint8)
    return levels


def grey_of_planes(frames: Tensor) -> Tensor:
    """BGR float [..., 3, H, W] -> [..., H, W]; keeps the gradient, for faces that a generator made."""
    blue, green, red = frames.unbind(-3)
    return 0.114 * blue + 0.587 * green + 0.299 * red


def centre_crop(frames: A, size: int = CROP_SIZE) -> A:
    """The middle of [..., H, W] -> [..., size, size] (a view); of an odd margin the greater half is right and below.

    Raises:
        ValueError: the image is smaller.
    """
    height, width = frames.shape[-2:]
    if min(height, width) < size:
        raise ValueError(f"an image of {height}x{width} has no centre of {size}x{size}")
    top, left = (height - size) // 2, (width - size) // 2
    return frames[..., top : top + size, left : left + size]


def standardise(pixels: Tensor) -> Tensor:
    """Grey levels 0..255 -> (x/255 - 0.421) / 0.165, float32."""
    return (pixels.float() / 255.0 - MEAN) / STD


def roi_input(frames: NDArray[np.uint8], size: int = CROP_SIZE) -> NDArray[np.float32]:
    """Grey mouth crops uint8 [T, H, W] -> the lip reader's input, float32 [T, size, size]."""
    pixels = centre_crop(frames, size).astype(np.float32)
    # in place: whole clips are larger than the processor's cache
    pixels /= np.float32(255)
    pixels -= np.float32(MEAN)
    pixels /= np.float32(STD)
    return pixels
