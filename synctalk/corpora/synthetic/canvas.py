"""The canvas that faces are painted on, and the face's own units.

Face units: the origin lies between the eyes, x to the right of the image, y down, 1 is half the width of the face.
Eyes lie at y = 0, the lips near 1.05, the chin near 1.65, the crown near -1.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """A rectangle in face units."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Canvas:
    """A raster over a rectangle of face units.

    Attributes:
        box: what it covers.
        scale: pixels a face unit.
    """

    box: Box
    scale: float

    @property
    def width(self) -> int:
        return round((self.box.right - self.box.left) * self.scale)

    @property
    def height(self) -> int:
        return round((self.box.bottom - self.box.top) * self.scale)

    @property
    def x(self) -> Float:
        """Face x of the pixel centres, [1, W]."""
        return (self.box.left + (np.arange(self.width, dtype=np.float32)[None] + 0.5) / self.scale).astype(np.float32)

    @property
    def y(self) -> Float:
        """Face y of the pixel centres, [H, 1]."""
        return (self.box.top + (np.arange(self.height, dtype=np.float32)[:, None] + 0.5) / self.scale).astype(
            np.float32
        )

    def to_pixels(self, points: Float) -> Float:
        """Face units [..., 2] to pixel coordinates, where whole numbers are pixel centres."""
        corner = np.asarray([self.box.left, self.box.top], np.float32)
        return ((points - corner) * self.scale - 0.5).astype(np.float32)

    def cut(self, box: Box) -> tuple[slice, slice]:
        """Rows and columns of the pixels that `box` covers."""
        left, top = (round((v - o) * self.scale) for v, o in ((box.left, self.box.left), (box.top, self.box.top)))
        right, bottom = (
            round((v - o) * self.scale) for v, o in ((box.right, self.box.left), (box.bottom, self.box.top))
        )
        return slice(top, bottom), slice(left, right)

    def within(self, box: Box) -> Canvas:
        """The part of this canvas that `cut(box)` selects, pixel for pixel."""
        rows, columns = self.cut(box)
        left, top = self.box.left + columns.start / self.scale, self.box.top + rows.start / self.scale
        right, bottom = self.box.left + columns.stop / self.scale, self.box.top + rows.stop / self.scale
        return Canvas(Box(left, top, right, bottom), self.scale)

    def finer(self, factor: int) -> Canvas:
        """The same rectangle with `factor` times as many pixels in both directions, exactly."""
        box = Box(
            self.box.left,
            self.box.top,
            self.box.left + self.width / self.scale,
            self.box.top + self.height / self.scale,
        )
        return Canvas(box, self.scale * factor)


def rgb(red: float, green: float, blue: float) -> NDArray[np.float32]:
    """A colour, or a factor on one, [3]."""
    return np.array((red, green, blue), np.float32)


def smoothstep(low: float | Float, high: float | Float, value: Float) -> Float:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1).astype(np.float32)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def bump(canvas: Canvas, x: float, y: float, width: float, height: float) -> Float:
    """A Gaussian hill of height 1 at face point (x, y), [H, W]."""
    hill: Float = np.exp(-0.5 * ((canvas.x - x) / width) ** 2) * np.exp(-0.5 * ((canvas.y - y) / height) ** 2)
    return hill


def blur(image: Float, sigma: float, border: int = cv2.BORDER_REFLECT) -> Float:
    """Gaussian blur, `sigma` in pixels, `border` OpenCV's way on."""
    return cast(Float, cv2.GaussianBlur(image, (0, 0), sigma, borderType=border))


def noise(rng: np.random.Generator, canvas: Canvas, grain: float) -> Float:
    """Smooth noise of zero mean and unit deviation, [H, W]; `grain` is its grain size in face units."""
    coarse = 1 / (grain * canvas.scale)
    small = (max(2, int(canvas.height * min(1.0, coarse) + 1)), max(2, int(canvas.width * min(1.0, coarse) + 1)))
    values = rng.standard_normal(small).astype(np.float32)
    size = (canvas.width, canvas.height)
    field = cast(NDArray[np.float32], cv2.resize(values, size, interpolation=cv2.INTER_CUBIC))
    even: NDArray[np.float32] = (field - field.mean()) / (field.std() + 1e-6)
    return even


def lay(image: Float, above: Float, weight: Float) -> None:
    """Lay `above` (an image [H, W, 3], or one colour [3]) over `image` [H, W, 3], in place, where `weight` [H, W] says.

    Args:
        image: changed where `weight` is above 0.002.
        above: what is laid over it.
        weight: 0 leaves the image, 1 hides it.
    """
    weight = np.asarray(weight, np.float32)
    left, top, width, height = cv2.boundingRect((weight > 0.002).astype(np.uint8))
    part = slice(top, top + height), slice(left, left + width)
    if width == 0:
        return
    # three equal planes: broadcasting over a last axis of three is several times slower
    w = cv2.merge([weight[part]] * 3)
    below = image[part]
    below += ((above[part] if above.ndim == 3 else above) - below) * w
