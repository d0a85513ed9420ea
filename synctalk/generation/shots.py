"""The first pass over a video: its shots, and the faces in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.faces.detect import Detector
from synctalk.faces.track import ANY_FOOTAGE, Detection, FaceTrack, grey_difference, standing_out, thumbnail
from synctalk.generation.people import Person, Who, choose, people
from synctalk.generation.playback import n_held
from synctalk.media import iter_frames
from synctalk.media.probe import VideoStream
from synctalk.runtime.jobs import progress_bar

DETECT_FRAMES = 16


@dataclass(frozen=True)
class SampledFaces:
    """The first pass: detections of every k-th frame, and the frames at which a shot begins."""

    sampled: list[tuple[int, list[Detection]]]
    cuts: list[int]


def sample_faces(path: Path, stream: VideoStream, detector: Detector) -> SampledFaces:
    """Detect faces in every k-th frame and find the shot changes."""
    sampled: list[tuple[int, list[Detection]]] = []
    differences: list[float] = []
    before: NDArray[np.uint8] | None = None
    waiting: list[tuple[int, NDArray[np.uint8]]] = []
    n_waiting = n_held(stream, DETECT_FRAMES)
    frames = iter_frames(path, np.arange(stream.n_frames), stream)
    shown = progress_bar(iterable=frames, total=stream.n_frames, desc="find faces", unit="frame")
    for number, frame in enumerate(shown):
        small = thumbnail(frame)
        if before is not None:
            differences.append(grey_difference(before, small))
        before = small
        last = number == stream.n_frames - 1
        if number % ANY_FOOTAGE.detect_every == 0 or last:
            waiting.append((number, frame))
        if len(waiting) == n_waiting or last:
            found = detector([frame for _, frame in waiting])
            sampled += [(number, faces) for (number, _), faces in zip(waiting, found, strict=True)]
            waiting = []
    return SampledFaces(sampled, standing_out(np.array(differences), ANY_FOOTAGE.shot_threshold))


def shot_people(faces: SampledFaces, n_frames: int, fps: float) -> list[list[Person]]:
    """The faces of every shot, their tracks counted from the video's first frame."""
    shots = []
    for start, stop in pairwise([0, *faces.cuts, n_frames]):
        inside = [(number - start, found) for number, found in faces.sampled if start <= number < stop]
        found = people(inside, stop - start, ANY_FOOTAGE, fps)
        shots.append([[replace(track, start=start + track.start) for track in person] for person in found])
    return shots


def chosen_tracks(shots: list[list[Person]], who: Who) -> list[FaceTrack]:
    """Tracks of the faces that are asked for; shots without one are left out."""
    return [track for found in shots for person in choose(found, who) for track in person]


def tracks_of_frames(tracks: list[FaceTrack], n_frames: int) -> list[tuple[int, ...]]:
    """For every frame the indices, in `tracks`, of those that cover it."""
    covering: list[tuple[int, ...]] = [()] * n_frames
    for index, track in enumerate(tracks):
        for number in range(track.start, track.start + len(track)):
            covering[number] += (index,)
    return covering
