"""One clip to its crops: decode at 25 fps, find the face, cut face and mouth, check the quality."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from synctalk.corpora.records import Clip
from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.align import MouthParams, crop_mouth, mouth_transforms
from synctalk.faces.crop import crop_faces, whole_boxes
from synctalk.faces.detect import Detector, DetectorParams, read_published_track
from synctalk.faces.quality import (
    QualityParams,
    check_frame_count,
    check_length,
    check_lengths_match,
    check_loudness,
    check_motion,
)
from synctalk.faces.sample import FrameSource, sample_faces
from synctalk.faces.track import FaceTrack, TrackParams, choose_tracks, shot_changes, thumbnail
from synctalk.media import Video, probe, read_audio, read_video, resample_index
from synctalk.media.read import require_video
from synctalk.params.section import section
from synctalk.rejected import Rejected
from synctalk.shards.mosaic import encode_mosaic
from synctalk.shards.records import Crop
from synctalk.timebase import FPS, n_samples

STAGE = "crop"
"""Its name in rejected.parquet."""


@section
class CropParams:
    """Cropping (params.yaml: `crop`)."""

    face_size: int
    """Side of the stored face, pixels: 96 in the paper."""
    mouth: MouthParams
    jpeg_quality: int
    """Quality of the stored pictures, 0..100."""
    track: TrackParams
    quality: QualityParams
    detectors: dict[str, DetectorParams]
    """`yunet` and `insightface`."""
    clips_per_part: int
    """Clips a parquet file, the unit that is resumed."""
    min_keep_rate: float
    """The stage fails when a smaller share of the clips is kept, 0..1."""


def audio_origin_s(clip: Clip) -> float:
    """Time stamp at which a clip's audio must begin to match frame 0; audio in a file of its own begins with the
    video.
    """
    return clip.video_start_s if clip.audio == clip.video else 0.0


def find_tracks(frames: FrameSource, params: TrackParams, detector: Detector) -> list[FaceTrack]:
    """The face tracks of a decoded clip that `several_faces` keeps.

    Raises:
        ClipError: as `choose_tracks`.
    """
    cuts = shot_changes((thumbnail(frame) for frame in frames), params.shot_threshold)
    sampled = sample_faces(frames, cuts, detector, params)
    return choose_tracks(sampled, cuts, len(frames), params, FPS)


def face_id(clip_id: str, number: int) -> str:
    """Id of the sample of one of a clip's several faces, counted from 1, from the image's left to its right."""
    return f"{clip_id}/face{number}"


def check_face_ids(clips: Iterable[Clip]) -> None:
    """No clip is called what a face of another would be (`face_id`): samples never share an id.

    Args:
        clips: gone through twice.

    Raises:
        UserError: one is.
    """
    split = ((clip.id, *clip.id.rpartition("/")) for clip in clips)
    face_of = {parent: clip_id for clip_id, parent, _, name in split if re.fullmatch(r"face[0-9]+", name)}
    for clip in clips if face_of else ():
        if clip.id in face_of:
            mend = "rename that video"
            raise UserError(face_of[clip.id], f"is also the name of a face of the clip {clip.id}", mend)


def _crop_track(
    video: Video, track: FaceTrack, sample_id: str, clip: Clip, params: CropParams, members: tuple[str, ...]
) -> Crop:
    """One face of a decoded clip, cut out.

    Raises:
        ClipError: too short, too long, less than the sentence, or a mouth that does not move.
    """
    check_length(len(track), params.quality)
    n_clip = len(video.frames)
    frames = video.frames[track.start : track.start + len(track)]
    if clip.transcript and len(frames) < params.track.min_cover * n_clip:
        raise ClipError(Reason.FACE_LOST, f"the face is there in {len(frames)} of {n_clip} frames of the sentence")
    frame_size = frames.shape[1:3]
    boxes = whole_boxes(track.boxes, frame_size)
    transforms = mouth_transforms(track.landmarks, params.mouth, frame_size)
    mouths = crop_mouth(frames, transforms, params.mouth.size)
    check_motion(mouths, params.quality)
    faces = b""
    if "faces" in members:
        faces = encode_mosaic(crop_faces(frames, boxes, params.face_size), params.jpeg_quality)
    return Crop(
        id=sample_id,
        clip=clip.id,
        start=clip.first_frame + track.start,
        audio_start=clip.first_frame + track.start,
        n_frames=len(frames),
        frame_height=frame_size[0],
        frame_width=frame_size[1],
        boxes=boxes,
        mouth_transforms=transforms,
        faces=faces,
        mouth=encode_mosaic(mouths, params.jpeg_quality),
    )


def crop_clip(
    root: Path, clip: Clip, params: CropParams, detector: Detector | None, members: tuple[str, ...]
) -> list[Crop | Rejected]:
    """Crops of one clip: one, or one for each of its faces where `several_faces` keeps all of them.

    Of a segment, only its stretch of the file is decoded.

    Args:
        root: of the corpus.
        clip: its index row.
        params: sizes and limits.
        detector: finds faces; None takes the track published beside the clip.
        members: what the corpus keeps; `faces` decides whether face crops are stored.

    Returns:
        Samples, from the image's left to its right. Of several faces, those that cannot be used come as the reason why.

    Raises:
        ClipError: the clip cannot be used, with the reason.
    """
    path = root / clip.video
    info = probe(path)
    stream = require_video(info)
    check_frame_count(stream.n_missing, params.quality)
    whole = resample_index(stream)
    index = whole[clip.span]
    check_length(len(index), params.quality)
    pcm = read_audio(root / clip.audio, audio_origin_s(clip))
    check_lengths_match(pcm, len(whole), params.quality)
    check_loudness(pcm[n_samples(clip.first_frame) : n_samples(clip.first_frame + len(index))], params.quality)
    if detector is None and not clip.face_track:
        raise ClipError(Reason.NO_FACE, "no face track is published beside the clip")
    video = read_video(path, info, clip.span)
    if detector is None:
        tracks = [read_published_track(root / clip.face_track, video.source_index)]
    else:
        tracks = find_tracks(video.frames, params.track, detector)
    if len(tracks) == 1:
        return [_crop_track(video, tracks[0], clip.id, clip, params, members)]
    samples: list[Crop | Rejected] = []
    for number, track in enumerate(sorted(tracks, key=lambda track: float(track.boxes[:, 0].mean())), start=1):
        sample_id = face_id(clip.id, number)
        try:
            samples.append(_crop_track(video, track, sample_id, clip, params, members))
        except ClipError as error:
            samples.append(Rejected(sample_id, STAGE, error.reason, error.detail))
    return samples
