"""The part of scoring that needs no network: decode, crop, compare pixels, and prepare what the judges look at.

Legend: T frames of the clip, S side of a face, R side of a mouth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import Clip
from synctalk.faces.align import crop_mouth
from synctalk.faces.crop import crop_face, mouth_region, syncnet_crops
from synctalk.faces.extract import audio_origin_s
from synctalk.features import mfcc, pcm_from
from synctalk.features.syncnet_input import View, judge_pictures
from synctalk.media import dumped, probe, read_audio, read_video
from synctalk.metrics.image import Image as Picture
from synctalk.metrics.image import psnr, psnr_uint8, ssim
from synctalk.models.syncnet import SyncNetConfig
from synctalk.shards.read import Sample
from synctalk.timebase import n_samples


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


@dataclass(frozen=True)
class Take:
    """What to score.

    Attributes:
        root: folder of the corpus.
        clip: the real clip.
        sample: its face box, mouth transforms and transcript.
        generated: the generated video; None for ground truth.
        whole: the generated video shows all of the clip's file, not only the stretch that the sample covers.
    """

    root: Path
    clip: Clip
    sample: Sample
    generated: Path | None
    whole: bool = False


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


@dataclass(frozen=True)
class Pictures:
    """What the sync judge looks at, uint8 [C, S, S] for each of T frames, made as it is gone through.

    Attributes:
        frames: RGB uint8 [H, W, 3], T or more; those of the published scripts' dump where a judge of whole frames
            sees it.
        n_frames: T.
        view: what a judge sees of them.
        judge: its sizes.
        boxes: face boxes [T, 4], for the views `face` and `tracked`.
        mouths: grey mouths [T, R, R], for the view `mouth`.
        face_size: side of the faces of the view `face`.
        dump: crops go through the dump.
    """

    frames: Iterable[NDArray[np.uint8]]
    n_frames: int
    view: View
    judge: SyncNetConfig
    boxes: NDArray[np.int32] | None
    mouths: NDArray[np.uint8] | None
    face_size: int
    dump: bool = False

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        seen = self._seen()
        for picture in dumped(seen) if self.dump else seen:
            yield judge_pictures(picture[None], self.judge)[0]

    def __len__(self) -> int:
        return self.n_frames

    @property
    def nbytes(self) -> int:
        """Bytes of them all."""
        return self.n_frames * self.judge.in_channels * self.judge.image_size**2

    def _seen(self) -> Iterable[NDArray[np.uint8]]:
        frames = islice(self.frames, self.n_frames)
        match self.view:
            case "frame":
                return frames
            case "face":
                assert self.boxes is not None
                return (crop_face(frame, box, self.face_size) for frame, box in zip(frames, self.boxes, strict=True))
            case "tracked":
                assert self.boxes is not None
                return syncnet_crops(frames, self.boxes.astype(np.float32))
            case "mouth":
                assert self.mouths is not None
                return iter(self.mouths)

    def stacked(self) -> NDArray[np.uint8]:
        """All of them, [T, C, S, S]."""
        return np.stack(list(self))


@dataclass(frozen=True)
class Footage:
    """One clip of one method, ready for the judges.

    Attributes:
        id: the clip.
        n_frames: T.
        transcript: what is said; None where nobody knows.
        images: None for ground truth.
        mouths: grey mouth regions, uint8 [T, R, R], the lip reader's input; None without a lip reader.
        pictures: what the sync judge looks at, T of uint8 [C, S, S]; empty without one.
        mfcc: of the video's own sound, float32 [13, n].
        n_samples: samples of that sound.
    """

    id: str
    n_frames: int
    transcript: str | None
    images: ImageScores | None
    mouths: NDArray[np.uint8] | None
    pictures: NDArray[np.uint8] | Pictures
    mfcc: NDArray[np.float32]
    n_samples: int


def film_frames(take: Take) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Frames RGB uint8 [T, H, W, 3] and sound of one take; of a whole clip's footage the stretch that the sample
    covers, its sound where screening left it.

    Raises:
        ClipError: a video cannot be decoded.
    """
    row = take.sample.row
    if take.generated is None:
        pcm = read_audio(take.root / take.clip.audio, audio_origin_s(take.clip))
    else:
        info = probe(take.generated)
        pcm = read_audio(take.generated, info.video.start_s if info.video else 0.0)
    if _has_all(take):
        pcm = pcm_from(pcm, row.audio_start)[: n_samples(row.n_frames)]
    return _frames(take), pcm


def _has_all(take: Take) -> bool:
    """Whether a take's video goes beyond its sample's stretch."""
    return take.generated is None or take.whole


def _frames(take: Take, *, jpeg: bool = False) -> NDArray[np.uint8]:
    row = take.sample.row
    first = row.start if _has_all(take) else 0
    path = take.generated or take.root / take.clip.video
    return read_video(path, span=slice(first, first + row.n_frames), jpeg=jpeg).frames


def film(
    take: Take, face_size: int, mouth_size: int, view: View, judge: SyncNetConfig, *, jpeg: bool = False
) -> Footage:
    """Decode one take and prepare it for the judges.

    With `jpeg` the sync judge sees pictures out of the published scripts' frame dump: whole frames as they are decoded,
    crops as they are cut.

    Raises:
        ClipError: a video cannot be decoded.
    """
    frames, pcm = film_frames(take)
    real = None if take.generated is None else film_frames(replace(take, generated=None))[0]
    return prepare(take, frames, pcm, real, face_size, mouth_size, view, judge, jpeg=jpeg)


def prepare(
    take: Take,
    frames: NDArray[np.uint8],
    pcm: NDArray[np.int16],
    real: NDArray[np.uint8] | None,
    face_size: int,
    mouth_size: int,
    view: View,
    judge: SyncNetConfig,
    *,
    jpeg: bool,
) -> Footage:
    """A take whose frames and sound are decoded, and the real frames that it is compared with; no fewer of them.

    Raises:
        ClipError: with `jpeg`, the video cannot be decoded.
    """
    sample, n_frames = take.sample, len(frames)
    boxes = sample.boxes[:n_frames]
    mouths = crop_mouth(frames, sample.mouth_transforms[:n_frames], mouth_size)
    images = None if real is None else compare_images(real[:n_frames], frames, boxes, face_size)
    whole = view == "frame"
    shown = _frames(take, jpeg=True) if jpeg and whole else frames
    pictures = Pictures(shown, n_frames, view, judge, boxes, mouths, face_size, dump=jpeg and not whole)
    return Footage(
        id=sample.row.id,
        n_frames=n_frames,
        transcript=sample.row.transcript,
        images=images,
        mouths=mouths,
        pictures=pictures.stacked(),
        mfcc=mfcc(pcm).astype(np.float32),
        n_samples=len(pcm),
    )
