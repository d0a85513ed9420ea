"""The part of scoring that needs no network: decode, crop, compare pixels, and prepare what the judges look at.

Legend: T frames of the clip, S side of a face, R side of a mouth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import Clip
from synctalk.faces.align import crop_mouth
from synctalk.faces.crop import crop_faces, mouth_region, syncnet_crops
from synctalk.faces.extract import audio_origin_s
from synctalk.features import mfcc, sound_from
from synctalk.media import dumped, probe, read_audio, read_video
from synctalk.metrics.image import Image as Picture
from synctalk.metrics.image import psnr, psnr_uint8, ssim
from synctalk.models.syncnet import SyncNetConfig
from synctalk.shards.read import Sample
from synctalk.timebase import n_samples
from synctalk.training.sync_expert import View, judge_pictures


@dataclass(frozen=True)
class ImageScores:
    """Means over the frames of a clip; None where there is no face box.

    Of the face box resized to the face crop's size: `psnr` in floating point, `psnr_uint8` as the public evaluation
    computes it, on wrapping bytes, which no pair of pictures can push below about 28 dB, and `ssim`. Of the mouth
    region of that crop: `mouth_psnr` and `mouth_ssim`; `mean_mouth_psnr` is what a still picture would reach at best,
    the clip's own mean mouth. Of the whole frame: `frame_psnr`, `frame_psnr_uint8` and `frame_ssim`.
    """

    psnr: float | None
    psnr_uint8: float | None
    ssim: float | None
    mouth_psnr: float | None
    mouth_ssim: float | None
    mean_mouth_psnr: float | None
    frame_psnr: float
    frame_psnr_uint8: float
    frame_ssim: float


IMAGE_SCORES = tuple(field.name for field in fields(ImageScores))
"""Names of the image scores."""


@dataclass(frozen=True)
class Footage:
    """One clip of one method, ready for the judges.

    Attributes:
        id: the clip.
        n_frames: T.
        transcript: what is said; None where nobody knows.
        images: None for ground truth.
        mouths: grey mouth regions, uint8 [T, R, R], the lip reader's input; None without a lip reader.
        pictures: what the sync judge looks at, uint8 [T, C, H, W]; empty without one.
        mfcc: of the video's own sound, float32 [13, n].
        n_samples: samples of that sound.
    """

    id: str
    n_frames: int
    transcript: str | None
    images: ImageScores | None
    mouths: NDArray[np.uint8] | None
    pictures: NDArray[np.uint8]
    mfcc: NDArray[np.float32]
    n_samples: int


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


def _mean(score: Callable[[Picture, Picture], float], real: Picture, made: Picture) -> float:
    """Mean over the frames of a score of two pictures; [T, H, W, 3] each.

    Raises:
        ValueError: unequal lengths.
    """
    return float(np.mean([score(a, b) for a, b in zip(real, made, strict=True)]))


def compare_images(
    real: NDArray[np.uint8], made: NDArray[np.uint8], boxes: NDArray[np.int32] | None, face_size: int
) -> ImageScores:
    """Scores of generated against real frames, uint8 [T, H, W, 3] each, with face boxes [T, 4] where there are any.

    Raises:
        ValueError: unequal lengths or sizes.
    """
    of_frame = {
        "frame_psnr": _mean(psnr, real, made),
        "frame_psnr_uint8": _mean(psnr_uint8, real, made),
        "frame_ssim": _mean(ssim, real, made),
    }
    if boxes is None:
        return ImageScores(**{**dict.fromkeys(IMAGE_SCORES), **of_frame})  # type: ignore[arg-type]  # None but of frames
    real_face, made_face = crop_faces(real, boxes, face_size), crop_faces(made, boxes, face_size)
    rows, columns = mouth_region(face_size)
    real_mouth, made_mouth = real_face[:, rows, columns], made_face[:, rows, columns]
    mean_mouth = np.broadcast_to(np.rint(real_mouth.mean(0)).astype(np.uint8), real_mouth.shape)
    return ImageScores(
        psnr=_mean(psnr, real_face, made_face),
        psnr_uint8=_mean(psnr_uint8, real_face, made_face),
        ssim=_mean(ssim, real_face, made_face),
        mouth_psnr=_mean(psnr, real_mouth, made_mouth),
        mouth_ssim=_mean(ssim, real_mouth, made_mouth),
        mean_mouth_psnr=_mean(psnr, real_mouth, mean_mouth),
        **of_frame,
    )


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
        pcm = sound_from(pcm, row.audio_start)[: n_samples(row.n_frames)]
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
    seen = seen_by(view, frames, boxes, mouths, face_size)
    if jpeg:
        seen = _frames(take, jpeg=True) if view == "frame" else dumped(seen)
    return Footage(
        id=sample.row.id,
        n_frames=n_frames,
        transcript=sample.row.transcript,
        images=images,
        mouths=mouths,
        pictures=judge_pictures(seen, judge),
        mfcc=mfcc(pcm).astype(np.float32),
        n_samples=len(pcm),
    )


def seen_by(
    view: View,
    frames: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    mouths: NDArray[np.uint8],
    face_size: int,
) -> NDArray[np.uint8]:
    """What a sync judge of that view looks at: frames RGB [T, H, W, 3], crops of them, or grey mouths [T, R, R]."""
    match view:
        case "frame":
            return frames
        case "face":
            return crop_faces(frames, boxes, face_size)
        case "tracked":
            return syncnet_crops(frames, boxes.astype(np.float32))
        case "mouth":
            return mouths
