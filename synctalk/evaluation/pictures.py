"""The part of scoring that needs no network: decode, crop, compare pixels, and prepare what the judges look at.

Legend: T frames of the clip, S side of a face, R side of a mouth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import Clip
from synctalk.faces.align import crop_mouth
from synctalk.faces.crop import crop_faces, mouth_region
from synctalk.faces.extract import audio_origin_s
from synctalk.features import mfcc, sound_from
from synctalk.media import probe, read_audio, read_video
from synctalk.metrics.image import psnr, psnr_uint8, ssim
from synctalk.models.syncnet import SyncNetConfig
from synctalk.shards.read import Sample
from synctalk.timebase import n_samples
from synctalk.training.sync_expert import View, judge_pictures


@dataclass(frozen=True)
class ImageScores:
    """Means over the frames of a clip, on the face box resized to the face crop's size.

    `psnr` is computed in floating point; `psnr_uint8` as the public evaluation does it, on wrapping bytes, which no
    pair of pictures can push below about 28 dB. `mean_mouth_psnr` is what a still picture would reach at best: the
    clip's own mean mouth.
    """

    psnr: float
    psnr_uint8: float
    ssim: float
    mouth_psnr: float
    mean_mouth_psnr: float


@dataclass(frozen=True)
class Footage:
    """One clip of one method, ready for the judges.

    Attributes:
        id: the clip.
        transcript: what is said.
        images: None for ground truth.
        mouths: grey mouth regions, uint8 [T, R, R], the lip reader's input.
        pictures: what the sync judge looks at, uint8 [T, C, H, W].
        mfcc: of the video's own sound, float32 [13, n].
        n_samples: samples of that sound.
    """

    id: str
    transcript: str
    images: ImageScores | None
    mouths: NDArray[np.uint8]
    pictures: NDArray[np.uint8]
    mfcc: NDArray[np.float32]
    n_samples: int


@dataclass(frozen=True)
class Take:
    """What to score: a clip, its sample (box, mouth transforms, transcript), and the generated video; None: ground
    truth.
    """

    root: Path
    clip: Clip
    sample: Sample
    generated: Path | None


def compare_faces(real: NDArray[np.uint8], generated: NDArray[np.uint8]) -> ImageScores:
    """Scores of generated against real face crops, uint8 [T, S, S, 3] each."""
    rows, columns = mouth_region(real.shape[1])
    real_mouth, made_mouth = real[:, rows, columns], generated[:, rows, columns]
    mean_mouth = np.rint(real_mouth.mean(0)).astype(np.uint8)
    pairs = list(zip(real, generated, strict=True))
    return ImageScores(
        psnr=float(np.mean([psnr(a, b) for a, b in pairs])),
        psnr_uint8=float(np.mean([psnr_uint8(a, b) for a, b in pairs])),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        mouth_psnr=float(np.mean([psnr(a, b) for a, b in zip(real_mouth, made_mouth, strict=True)])),
        mean_mouth_psnr=float(np.mean([psnr(frame, mean_mouth) for frame in real_mouth])),
    )


def film_frames(take: Take) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Frames RGB uint8 [T, H, W, 3] and sound of one take; of real footage the stretch that the sample covers,
    its sound where screening left it.

    Raises:
        ClipError: a video cannot be decoded.
    """
    if take.generated is not None:
        info = probe(take.generated)
        frames = read_video(take.generated, info).frames[: take.sample.row.n_frames]
        return frames, read_audio(take.generated, info.video.start_s if info.video else 0.0)
    row = take.sample.row
    pcm = read_audio(take.root / take.clip.audio, audio_origin_s(take.clip))
    span = slice(row.start, row.start + row.n_frames)
    frames = read_video(take.root / take.clip.video, span=span).frames
    return frames, sound_from(pcm, row.audio_start)[: n_samples(row.n_frames)]


def film(take: Take, face_size: int, mouth_size: int, view: View, judge: SyncNetConfig) -> Footage:
    """Decode one take and prepare it for the judges.

    Raises:
        ClipError: a video cannot be decoded.
    """
    sample = take.sample
    frames, pcm = film_frames(take)
    n_frames = len(frames)
    faces = crop_faces(frames, sample.boxes[:n_frames], face_size)
    mouths = crop_mouth(frames, sample.mouth_transforms[:n_frames], mouth_size)
    images = None
    if take.generated is not None:
        real, _ = film_frames(replace(take, generated=None))
        images = compare_faces(crop_faces(real[:n_frames], sample.boxes[:n_frames], face_size), faces)
    seen = {"frame": frames, "face": faces, "mouth": mouths}[view]
    return Footage(
        id=sample.row.id,
        transcript=sample.row.transcript,
        images=images,
        mouths=mouths,
        pictures=judge_pictures(seen, judge),
        mfcc=mfcc(pcm).astype(np.float32),
        n_samples=len(pcm),
    )
