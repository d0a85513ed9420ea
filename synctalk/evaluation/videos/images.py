"""Generated against real frames, pixel by pixel: the scores that need no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from synctalk.faces.crop import crop_face, mouth_region
from synctalk.metrics.image import Image as Picture
from synctalk.metrics.image import psnr, psnr_uint8, ssim


@dataclass(frozen=True, kw_only=True)
class ImageScores:
    """Means over the frames of a clip; None for ground truth, and where there is no face box.

    Of the face box resized to the face crop's size: `psnr` in floating point, `psnr_uint8` as the public evaluation
    computes it, on wrapping bytes, which no pair of pictures can push below about 28 dB, and `ssim`. Of the mouth
    region of that crop: `mouth_psnr` and `mouth_ssim`; `mean_mouth_psnr` is what a still picture would reach at best,
    the clip's own mean mouth. Of the whole frame: `frame_psnr`, `frame_psnr_uint8` and `frame_ssim`.
    """

    psnr: float | None = None
    psnr_uint8: float | None = None
    ssim: float | None = None
    mouth_psnr: float | None = None
    mouth_ssim: float | None = None
    mean_mouth_psnr: float | None = None
    frame_psnr: float | None = None
    frame_psnr_uint8: float | None = None
    frame_ssim: float | None = None


Score = Callable[[Picture, Picture], float]


IMAGE_SCORES = tuple(field.name for field in fields(ImageScores))
"""Names of the image scores."""


class ImageComparison:
    """Generated against real frames, as they come; of each pair a few numbers and the real mouth are kept."""

    def __init__(self, face_size: int) -> None:
        self.face_size = face_size
        self.found: dict[str, list[float]] = defaultdict(list)
        self.mouths: list[NDArray[np.uint8]] = []

    def add(self, real: NDArray[np.uint8], made: NDArray[np.uint8], box: NDArray[np.int32] | None) -> None:
        """Compare two frames, uint8 [H, W, 3], with their face box [4] where there is one.

        Raises:
            ValueError: unequal sizes.
        """
        self._compare("frame_", real, made, {"psnr": psnr, "psnr_uint8": psnr_uint8, "ssim": ssim})
        if box is None:
            return
        real_face, made_face = crop_face(real, box, self.face_size), crop_face(made, box, self.face_size)
        self._compare("", real_face, made_face, {"psnr": psnr, "psnr_uint8": psnr_uint8, "ssim": ssim})
        region = mouth_region(self.face_size)
        self._compare("mouth_", real_face[region], made_face[region], {"psnr": psnr, "ssim": ssim})
        self.mouths.append(real_face[region].copy())

    def _compare(self, where: str, real: Picture, made: Picture, scores: Mapping[str, Score]) -> None:
        for name, score in scores.items():
            self.found[f"{where}{name}"].append(score(real, made))

    def scores(self) -> ImageScores:
        """Means over the frames so far."""
        if self.mouths:
            mean_mouth = np.rint(np.stack(self.mouths).mean(0)).astype(np.uint8)
            self.found["mean_mouth_psnr"] = [psnr(mouth, mean_mouth) for mouth in self.mouths]
        means = {name: float(np.mean(values)) for name, values in self.found.items()}
        return ImageScores(**means)


def compare_images(
    real: Iterable[NDArray[np.uint8]],
    made: Iterable[NDArray[np.uint8]],
    boxes: NDArray[np.int32] | None,
    face_size: int,
) -> ImageScores:
    """Scores of generated against real frames, uint8 [H, W, 3] each, with face boxes [T, 4] where there are any.

    Raises:
        ValueError: unequal lengths or sizes.
    """
    comparison = ImageComparison(face_size)
    for number, (a, b) in enumerate(zip(real, made, strict=True)):
        comparison.add(a, b, None if boxes is None else boxes[number])
    return comparison.scores()
