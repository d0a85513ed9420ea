"""Videos of any method, from any folder, prepared for the judges: no corpus, no shards.

Frames are compared at 25 a second, by time. The face is looked for in the real video, where its frames have the size of
the generated ones, so that no method is judged by a box of its own making; else in the generated one.

Legend: T frames that both videos have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError
from synctalk.evaluation.videos.findings import ClipFinding, Note, other_length, too_short, undecoded
from synctalk.evaluation.videos.frames import UndecodedError, VideoFrames
from synctalk.evaluation.videos.images import ImageComparison
from synctalk.evaluation.videos.pairs import Pair
from synctalk.evaluation.videos.prepared import Pictures, Preparation, PreparedVideo
from synctalk.faces.align import MouthParams, crop_mouth, mouth_transforms
from synctalk.faces.crop import whole_boxes
from synctalk.faces.detect import Detector, DetectorParams, make_detector, read_published_track
from synctalk.faces.extract import find_tracks
from synctalk.faces.track import ANY_FOOTAGE, FaceTrack
from synctalk.features import mfcc
from synctalk.features.syncnet_input import View
from synctalk.media import read_audio
from synctalk.models.syncnet import SyncNetConfig

PICTURE_BYTES = 2**26
"""What the sync judge is shown of a clip comes ready from the process that decoded it, up to so many bytes: 17 s of
SyncNet's 224 x 224. Of a longer clip it is made as the judge asks for it."""


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
        jpeg: the sync judge sees pictures out of the published scripts' frame dump; see `ClipSetup`.
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


@cache
def _detector(kind: str, params: DetectorParams) -> Detector:
    return make_detector(kind, params)


class _UnscoredError(Exception):
    """A pair cannot be scored."""

    def __init__(self, finding: ClipFinding, detail: str) -> None:
        super().__init__(finding, detail)
        self.finding, self.detail = finding, detail


def prepare_pair(pair: Pair, setup: Setup) -> Preparation:
    """Decode one pair and prepare it, in memory that does not grow with its frames; whatever is wrong with its files
    becomes a note.
    """
    notes: list[Note] = []
    try:
        return Preparation(_prepare_pair(pair, setup, notes), tuple(notes))
    except _UnscoredError as error:
        finding, detail = error.finding, error.detail
    except UndecodedError as error:
        finding, detail = undecoded(error.reason), error.detail
    return Preparation(None, (*notes, Note(pair.id, finding, False, detail)))


def _prepare_pair(pair: Pair, setup: Setup, notes: list[Note]) -> PreparedVideo:
    """The pair, ready for the judges; findings that do not keep it from them are added to `notes`."""

    def note(finding: ClipFinding, detail: str) -> None:
        notes.append(Note(pair.id, finding, True, detail))

    made = VideoFrames(pair.generated, "generated")
    pcm = _audio_of(made)
    real = None if pair.reference is None else VideoFrames(pair.reference, "real")
    n_frames = len(made)
    if real is not None and pair.comparable and len(real) != n_frames:
        notes.append(other_length(pair.id, n_frames, len(real)))
        n_frames = min(n_frames, len(real))
    if (detail := too_short(n_frames, len(pcm))) is not None:
        raise _UnscoredError(ClipFinding.TOO_SHORT, detail)
    same_size = real is not None and real.shape == made.shape
    if real is not None and not same_size:
        sizes = [f"{one.shape[1]}x{one.shape[0]}" for one in (made, real)]
        note(ClipFinding.OTHER_SIZE, f"{sizes[0]} pixels, {sizes[1]} in the real video: pictures not compared")
    track = None
    if setup.detector is not None:
        try:
            track = _whole_track(real if same_size and real is not None else made, pair.id, setup, n_frames)
        except UndecodedError:
            raise
        except ClipError as error:
            if setup.needs_face:
                raise _UnscoredError(ClipFinding.NO_FACE, error.detail) from error
            note(ClipFinding.NO_FACE, error.detail)
        else:
            if track.n_seen < n_frames:
                detail = f"in {track.n_seen} of {n_frames} frames; the others take its nearest box"
                note(ClipFinding.FACE_PARTLY, detail)
    compared = real if same_size and pair.comparable else None
    return _prepare_decoded(pair, setup, made, compared, pcm, track, n_frames)


@dataclass(frozen=True)
class WholeTrack:
    """A face over all frames of a clip, and the number of those in which it was tracked."""

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    n_seen: int


def _whole_track(video: VideoFrames, clip_id: str, setup: Setup, n_frames: int) -> WholeTrack:
    """The face of a clip over its first `n_frames` frames.

    Raises:
        ClipError: no face.
        UndecodedError: the video is broken.
    """
    if setup.tracks is not None:
        track = read_published_track(setup.tracks / f"{clip_id}.npz", video.source_index)
    else:
        assert setup.detector is not None
        assert setup.detector_params is not None
        (track,) = find_tracks(video, ANY_FOOTAGE, _detector(setup.detector, setup.detector_params))
    return hold_ends(track, n_frames)


def hold_ends(track: FaceTrack, n_frames: int) -> WholeTrack:
    """`track` over all of `n_frames` frames, its first box before it and its last behind it."""
    index = np.arange(n_frames) - track.start
    held = np.clip(index, 0, len(track) - 1)
    return WholeTrack(track.boxes[held], track.landmarks[held], int((held == index).sum()))


def _audio_of(made: VideoFrames) -> NDArray[np.int16]:
    """Audio of a generated video on its frames' time line."""
    try:
        return read_audio(made.path, made.start_s)
    except ClipError as error:
        raise UndecodedError(error.reason, f"generated: {error.detail}") from error


def _prepare_decoded(
    pair: Pair,
    setup: Setup,
    made: VideoFrames,
    real: VideoFrames | None,
    pcm: NDArray[np.int16],
    track: WholeTrack | None,
    n_frames: int,
) -> PreparedVideo:
    frame_size = made.shape[:2]
    boxes = None if track is None else whole_boxes(track.boxes, frame_size)
    transforms = mouths = None
    if setup.mouth is not None:
        landmarks = np.zeros((n_frames, 5, 2), np.float32) if track is None else track.landmarks
        transforms = mouth_transforms(landmarks, setup.mouth, frame_size)
        mouths = np.empty((n_frames, setup.mouth.size, setup.mouth.size), np.uint8)
    comparison = None if real is None else ImageComparison(setup.face_size)
    # gone through even where nothing is asked of a frame: what is broken must be known before the judges
    others: Iterable[NDArray[np.uint8] | None] = repeat(None) if real is None else real
    for number, (frame, truth) in enumerate(zip(islice(made, n_frames), others, strict=False)):
        if mouths is not None and transforms is not None:
            mouths[number] = crop_mouth(frame[None], transforms[number : number + 1], mouths.shape[1])[0]
        if comparison is not None and truth is not None:
            comparison.add(truth, frame, None if boxes is None else boxes[number])
    pictures: NDArray[np.uint8] | Pictures = np.zeros((0,), np.uint8)
    if setup.view is not None and setup.judge is not None:
        whole = setup.view == "frame"
        shown = VideoFrames(pair.generated, "generated", jpeg=True, held_bytes=0) if setup.jpeg and whole else made
        pictures = Pictures(
            shown, n_frames, setup.view, setup.judge, boxes, mouths, setup.face_size, dump=setup.jpeg and not whole
        )
        if pictures.nbytes <= PICTURE_BYTES:
            pictures = pictures.stacked()
    return PreparedVideo(
        id=pair.id,
        n_frames=n_frames,
        transcript=pair.transcript,
        images=None if comparison is None else comparison.scores(),
        mouths=mouths,
        pictures=pictures,
        mfcc=mfcc(pcm).astype(np.float32),
        n_samples=len(pcm),
    )
