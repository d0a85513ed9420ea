"""Clips of a corpus, real or generated, decoded and made ready for the judges.

Legend: T frames of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import Clip
from synctalk.errors import UserError
from synctalk.evaluation.videos.images import compare_images
from synctalk.evaluation.videos.prepared import Pictures, Preparation, PreparedVideo
from synctalk.faces.align import crop_mouth
from synctalk.faces.extract import audio_origin_s
from synctalk.features import mfcc, pcm_from
from synctalk.features.syncnet_input import View
from synctalk.generation.corpus import generated_path
from synctalk.media import probe, read_audio, read_video
from synctalk.models.syncnet import SyncNetConfig
from synctalk.shards.clips import CorpusClips
from synctalk.shards.read import Sample
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


@dataclass(frozen=True)
class ClipSetup:
    """How clips are prepared.

    Attributes:
        face_size, mouth_size: sides of the regions that are cut, pixels.
        view: what the sync judge sees.
        judge: sizes of that judge.
        jpeg: it sees pictures out of the published scripts' frame dump: whole frames as they are decoded, crops as they
            are cut.
    """

    face_size: int
    mouth_size: int
    view: View
    judge: SyncNetConfig
    jpeg: bool = False


def clip_videos(test: CorpusClips, generated: Path | None) -> list[ClipVideo]:
    """One video a sample; `generated` is the folder of the generated videos, None takes the real ones.

    Raises:
        UserError: a generated video is missing.
    """
    by_id = {clip.id: clip for clip in test.clips}
    videos = []
    for number in range(len(test.shards)):
        sample = test.shards[number]
        path = generated_path(generated, sample.row.id) if generated else None
        if path is not None and not path.is_file():
            raise UserError(path, "is not there", "run `dvc repro generate`")
        videos.append(ClipVideo(test.root, by_id[sample.row.clip], sample, path))
    return videos


def decode_clip(video: ClipVideo) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Frames RGB uint8 [T, H, W, 3] and audio; of a file that shows the whole clip the stretch that the sample covers,
    its audio where screening left it.

    Raises:
        ClipError: a file cannot be decoded.
    """
    row = video.sample.row
    if video.generated is None:
        pcm = read_audio(video.root / video.clip.audio, audio_origin_s(video.clip))
    else:
        info = probe(video.generated)
        pcm = read_audio(video.generated, info.video.start_s if info.video else 0.0)
    if _has_all(video):
        pcm = pcm_from(pcm, row.audio_start)[: n_samples(row.n_frames)]
    return _frames(video), pcm


def _has_all(video: ClipVideo) -> bool:
    """Whether the file goes beyond its sample's stretch."""
    return video.generated is None or video.whole


def _frames(video: ClipVideo, *, jpeg: bool = False) -> NDArray[np.uint8]:
    row = video.sample.row
    first = row.start if _has_all(video) else 0
    path = video.generated or video.root / video.clip.video
    return read_video(path, span=slice(first, first + row.n_frames), jpeg=jpeg).frames


def prepare_clip(video: ClipVideo, setup: ClipSetup) -> Preparation:
    """Decode a clip and prepare it for the judges.

    Raises:
        ClipError: a file cannot be decoded.
    """
    frames, pcm = decode_clip(video)
    real = None if video.generated is None else decode_clip(replace(video, generated=None))[0]
    return Preparation(prepare_decoded(video, frames, pcm, real, setup))


def prepare_decoded(
    video: ClipVideo,
    frames: NDArray[np.uint8],
    pcm: NDArray[np.int16],
    real: NDArray[np.uint8] | None,
    setup: ClipSetup,
) -> PreparedVideo:
    """A clip whose frames and audio are decoded, and the real frames that it is compared with; no fewer of them.

    Raises:
        ClipError: with `setup.jpeg`, the video cannot be decoded.
    """
    sample, n_frames = video.sample, len(frames)
    boxes = sample.boxes[:n_frames]
    mouths = crop_mouth(frames, sample.mouth_transforms[:n_frames], setup.mouth_size)
    images = None if real is None else compare_images(real[:n_frames], frames, boxes, setup.face_size)
    whole = setup.view == "frame"
    shown = _frames(video, jpeg=True) if setup.jpeg and whole else frames
    dump = setup.jpeg and not whole
    pictures = Pictures(shown, n_frames, setup.view, setup.judge, boxes, mouths, setup.face_size, dump)
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
