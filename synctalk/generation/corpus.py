"""Whole test clips of a corpus, re-voiced with their own audio and pasted back into the original frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctalk.corpora.listing import require_inside
from synctalk.corpora.records import Clip
from synctalk.errors import ClipError, UserError
from synctalk.faces.crop import crop_faces, paste_back
from synctalk.faces.extract import audio_origin_s
from synctalk.features import audio_input, pcm_from
from synctalk.generation.faces import generate_faces
from synctalk.media import read_audio, read_video, write_video
from synctalk.models.generator import FaceGenerator
from synctalk.params.section import section
from synctalk.runtime.jobs import progress_bar, publish
from synctalk.shards.read import Sample, ShardSet
from synctalk.timebase import n_samples


@section
class GenerateParams:
    """Generation (params.yaml: `generate`)."""

    batch_frames: int
    """Faces made at a time."""
    crf: float
    """x264's constant rate factor of the generated videos, 0..51."""
    preset: str


def generated_path(folder: Path, sample_id: str) -> Path:
    """Where the generated video of a sample lies below `folder`.

    Raises:
        UserError: the id, which stands in the index of shards, would lead out of it.
    """
    try:
        return folder / f"{require_inside(sample_id)}.mp4"
    except ClipError as error:
        raise UserError("the index of the shards", error.detail, "make the shards anew") from error


def generate_clip(
    model: FaceGenerator, root: Path, clip: Clip, sample: Sample, params: GenerateParams, out: Path
) -> None:
    """Generate one clip into `out`: the reference is its first face, as in the released evaluation."""
    span = slice(sample.row.start, sample.row.start + sample.row.n_frames)
    frames = read_video(root / clip.video, span=span).frames
    faces = crop_faces(frames, sample.boxes, model.face_size)
    audio = audio_input(model.audio_kind, sample.fbank if model.audio_kind == "fbank" else sample.mel, len(faces))
    made = generate_faces(model, faces, faces[:1], audio, np.arange(len(faces)), params.batch_frames)
    pasted = (paste_back(frame, face, box) for frame, face, box in zip(frames, made, sample.boxes, strict=True))
    pcm = pcm_from(read_audio(root / clip.audio, audio_origin_s(clip)), sample.row.audio_start)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_video(out, pasted, audio=pcm[: n_samples(len(frames))], crf=params.crf, preset=params.preset)


def generate_corpus(
    model: FaceGenerator,
    root: Path,
    clips: list[Clip],
    shards: ShardSet,
    params: GenerateParams,
    folder: Path,
    out: Path,
    label: str,
) -> None:
    """Generate every sample of `shards` into `out`, by way of the scratch `folder`: what is there is not made again."""
    by_id = {clip.id: clip for clip in clips}
    for number in progress_bar(iterable=range(len(shards)), desc=label, unit="clip"):
        row = shards.rows[number]
        made = generated_path(folder, row.id)
        if not made.exists():
            generate_clip(model, root, by_id[row.clip], shards[number], params, made)
        publish(made, generated_path(out, row.id))
