"""Videos of any method, from any folder, prepared for the judges: no corpus, no shards.

Frames are compared at 25 a second, by time. The face is looked for in the real video, where its frames have the size of
the generated ones, so that no method is judged by a box of its own making; else in the generated one.

Legend: T frames that both videos have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason
from synctalk.evaluation.pairs import Finding, Note, Pair
from synctalk.evaluation.pictures import Footage, compare_images, seen_by
from synctalk.evaluation.score import ClipScore, Judges, score_footage
from synctalk.faces.align import MouthParams, crop_mouth, mouth_transforms
from synctalk.faces.crop import whole_boxes
from synctalk.faces.detect import Detector, DetectorParams, make_detector, read_published_track
from synctalk.faces.extract import find_tracks
from synctalk.faces.track import ANY_FOOTAGE, FaceTrack
from synctalk.features import mfcc
from synctalk.media import Video, dumped, probe, read_audio, read_video
from synctalk.models.syncnet import LIP_WINDOW, SyncNetConfig
from synctalk.timebase import n_whole_frames
from synctalk.training.sync_expert import View, judge_pictures

MIN_FRAMES = LIP_WINDOW + 2
"""Frames of sound and picture that a clip needs: two windows of SyncNet, and a median over its box."""


@dataclass(frozen=True)
class Setup:
    """How clips are prepared.

    Attributes:
        view: what the sync judge sees; None without one.
        judge: sizes of that judge.
        mouth: how the mouth region is cut for the lip judge; None without one.
        face_size: side of the face crop whose pixels are compared.
        detector: kind of face detector, `tracks` for tracks that lie in a folder; None does without faces.
        detector_params: of that detector; None for `tracks`.
        tracks: that folder: `<id>.npz` of the real video (of the generated one where there is none).
        jpeg: the sync judge sees pictures out of the published scripts' frame dump; see `film`.
    """

    view: View | None
    judge: SyncNetConfig | None
    mouth: MouthParams | None
    face_size: int
    detector: str | None
    detector_params: DetectorParams | None = None
    tracks: Path | None = None
    jpeg: bool = False

    @property
    def needs_face(self) -> bool:
        """Whether a clip without a face cannot be shown to a judge."""
        return self.view not in (None, "frame") or (self.mouth is not None and self.mouth.mode == "mean_face")


@dataclass(frozen=True)
class Filmed:
    """A clip that is ready for the judges, or None where it cannot be; and what is to be said of it."""

    footage: Footage | None
    notes: tuple[Note, ...]


UNREADABLE = {Reason.NO_AUDIO: Finding.NO_SOUND}
"""Reasons for which decoding fails, where the finding has a name of its own."""


def score_filmed(filmed: Iterable[Filmed], judges: Judges) -> tuple[list[ClipScore], list[Note]]:
    """Let the judges score what could be prepared; beside the scores everything that is to be said."""
    notes: list[Note] = []

    def ready() -> Iterator[Footage]:
        for one in filmed:
            notes.extend(one.notes)
            if one.footage is not None:
                yield one.footage

    return score_footage(ready(), judges), notes


@cache
def _detector(kind: str, params: DetectorParams) -> Detector:
    return make_detector(kind, params)


def film_pair(pair: Pair, setup: Setup) -> Filmed:
    """Decode one pair and prepare it; whatever is wrong with its files becomes a note."""
    notes: list[Note] = []

    def note(finding: Finding, detail: str, *, scored: bool = True) -> None:
        notes.append(Note(pair.id, finding, scored, detail))

    try:
        made, pcm = _decode(pair.generated)
    except ClipError as error:
        note(UNREADABLE.get(error.reason, Finding.UNREADABLE), f"generated: {error.detail}", scored=False)
        return Filmed(None, tuple(notes))
    real = None
    if pair.reference is not None:
        try:
            real = read_video(pair.reference)
        except ClipError as error:
            note(Finding.UNREADABLE, f"real: {error.detail}", scored=False)
            return Filmed(None, tuple(notes))
    frames = made.frames
    if real is not None and pair.comparable and len(real.frames) != len(frames):
        finding = Finding.SHORTER if len(frames) < len(real.frames) else Finding.LONGER
        note(finding, f"{len(frames)} frames, {len(real.frames)} in the real video; what both have is scored")
        frames = frames[: len(real.frames)]
    n_frames = len(frames)
    if min(n_frames, n_whole_frames(len(pcm))) < MIN_FRAMES:
        detail = f"{n_frames} frames and {len(pcm)} samples, {MIN_FRAMES} frames of both are needed"
        note(Finding.TOO_SHORT, detail, scored=False)
        return Filmed(None, tuple(notes))
    same_size = real is not None and real.frames.shape[1:] == frames.shape[1:]
    if real is not None and not same_size:
        sizes = [f"{one.shape[2]}x{one.shape[1]}" for one in (frames, real.frames)]
        note(Finding.OTHER_SIZE, f"{sizes[0]} pixels, {sizes[1]} in the real video: pictures not compared")
    track = None
    if setup.detector is not None:
        try:
            track = _whole_track(real if same_size and real is not None else made, pair.id, setup, n_frames)
        except ClipError as error:
            note(Finding.NO_FACE, error.detail, scored=not setup.needs_face)
            if setup.needs_face:
                return Filmed(None, tuple(notes))
        else:
            if track.n_seen < n_frames:
                note(Finding.FACE_PARTLY, f"in {track.n_seen} of {n_frames} frames; the others take its nearest place")
    compared = real.frames[:n_frames] if real is not None and same_size and pair.comparable else None
    return Filmed(_prepare(pair, setup, frames, compared, pcm, track), tuple(notes))


@dataclass(frozen=True)
class WholeTrack:
    """A face over all frames of a clip, and the number of those in which it was tracked."""

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    n_seen: int


def _whole_track(video: Video, clip_id: str, setup: Setup, n_frames: int) -> WholeTrack:
    """The face of a clip over its first `n_frames` frames.

    Raises:
        ClipError: no face.
    """
    if setup.tracks is not None:
        track = read_published_track(setup.tracks / f"{clip_id}.npz", video.source_index)
    else:
        assert setup.detector is not None
        assert setup.detector_params is not None
        (track,) = find_tracks(video, ANY_FOOTAGE, _detector(setup.detector, setup.detector_params))
    return hold_ends(track, n_frames)


def hold_ends(track: FaceTrack, n_frames: int) -> WholeTrack:
    """`track` over all of `n_frames` frames, its first place before it and its last behind it."""
    place = np.arange(n_frames) - track.start
    held = np.clip(place, 0, len(track) - 1)
    return WholeTrack(track.boxes[held], track.landmarks[held], int((held == place).sum()))


def _decode(path: Path) -> tuple[Video, NDArray[np.int16]]:
    """Frames and sound of a generated video on one time line."""
    info = probe(path)
    video = read_video(path, info)
    return video, read_audio(path, info.video.start_s if info.video else 0.0)


def _prepare(
    pair: Pair,
    setup: Setup,
    frames: NDArray[np.uint8],
    real: NDArray[np.uint8] | None,
    pcm: NDArray[np.int16],
    track: WholeTrack | None,
) -> Footage:
    frame_size = frames.shape[1:3]
    boxes = None if track is None else whole_boxes(track.boxes, frame_size)
    landmarks = np.zeros((len(frames), 5, 2), np.float32) if track is None else track.landmarks
    mouths = None
    if setup.mouth is not None:
        mouths = crop_mouth(frames, mouth_transforms(landmarks, setup.mouth, frame_size), setup.mouth.size)
    pictures = np.zeros((0,), np.uint8)
    if setup.view is not None and setup.judge is not None:
        no_box = np.zeros((0, 4), np.int32)
        no_mouth = np.zeros((0, 1, 1), np.uint8)
        seen = seen_by(
            setup.view,
            frames,
            no_box if boxes is None else boxes,
            no_mouth if mouths is None else mouths,
            setup.face_size,
        )
        if setup.jpeg:
            whole = setup.view == "frame"
            seen = read_video(pair.generated, jpeg=True).frames[: len(frames)] if whole else dumped(seen)
        pictures = judge_pictures(seen, setup.judge)
    return Footage(
        id=pair.id,
        n_frames=len(frames),
        transcript=pair.transcript,
        images=None if real is None else compare_images(real, frames, boxes, setup.face_size),
        mouths=mouths,
        pictures=pictures,
        mfcc=mfcc(pcm).astype(np.float32),
        n_samples=len(pcm),
    )
