"""Clips of a corpus, real or generated, decoded and made ready for the judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import Clip
from synctalk.errors import UserError
from synctalk.evaluation.videos.images import compare_images
from synctalk.evaluation.videos.pictures import Pictures, PreparedVideo
from synctalk.faces.align import crop_mouth
from synctalk.faces.extract import audio_origin_s
from synctalk.features import mfcc, pcm_from
from synctalk.features.syncnet_input import View
from synctalk.generation.corpus import generated_path
from synctalk.media import probe, read_audio, read_video
from synctalk.models.syncnet import SyncNetConfig
from synctalk.shards.read import Sample, ShardSet
from synctalk.timebase import n_samples


@dataclass(frozen=True)
class ClipVideo:
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


def clip_videos(root: Path, clips: Sequence[Clip], shards: ShardSet, generated: Path | None) -> list[ClipVideo]:
    """One take a sample; `generated` is the folder of the generated videos, None scores the real ones.

    Raises:
        UserError: a generated video is missing.
    """
    by_id = {clip.id: clip for clip in clips}
    takes = []
    for number in range(len(shards)):
        sample = shards[number]
        path = generated_path(generated, sample.row.id) if generated else None
        if path is not None and not path.is_file():
            raise UserError(path, "is not there", "run `dvc repro generate`")
        takes.append(ClipVideo(root, by_id[sample.row.clip], sample, path))
    return takes


def decode_clip(take: ClipVideo) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """VideoFrames RGB uint8 [T, H, W, 3] and sound of one take; of a whole clip's footage the stretch that the sample
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


def _has_all(take: ClipVideo) -> bool:
    """Whether a take's video goes beyond its sample's stretch."""
    return take.generated is None or take.whole


def _frames(take: ClipVideo, *, jpeg: bool = False) -> NDArray[np.uint8]:
    row = take.sample.row
    first = row.start if _has_all(take) else 0
    path = take.generated or take.root / take.clip.video
    return read_video(path, span=slice(first, first + row.n_frames), jpeg=jpeg).frames


def film(
    take: ClipVideo, face_size: int, mouth_size: int, view: View, judge: SyncNetConfig, *, jpeg: bool = False
) -> PreparedVideo:
    """Decode one take and prepare it for the judges.

    With `jpeg` the sync judge sees pictures out of the published scripts' frame dump: whole frames as they are decoded,
    crops as they are cut.

    Raises:
        ClipError: a video cannot be decoded.
    """
    frames, pcm = decode_clip(take)
    real = None if take.generated is None else decode_clip(replace(take, generated=None))[0]
    return prepare(take, frames, pcm, real, face_size, mouth_size, view, judge, jpeg=jpeg)


def prepare(
    take: ClipVideo,
    frames: NDArray[np.uint8],
    pcm: NDArray[np.int16],
    real: NDArray[np.uint8] | None,
    face_size: int,
    mouth_size: int,
    view: View,
    judge: SyncNetConfig,
    *,
    jpeg: bool,
) -> PreparedVideo:
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
    return PreparedVideo(
        id=sample.row.id,
        n_frames=n_frames,
        transcript=sample.row.transcript,
        images=images,
        mouths=mouths,
        pictures=pictures.stacked(),
        mfcc=mfcc(pcm).astype(np.float32),
        n_samples=len(pcm),
    )
