"""Who is dubbed: the faces of a shot, told apart by position and size, and the ones that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from synctalk.faces.track import Detection, FaceTrack, TrackParams, fill, link, smooth

Person = list[FaceTrack]
"""Stretches of one shot in which one face is seen, in order of time."""
Who = Literal["largest", "all"] | int
"""Which faces of each shot: a number counts from 1, from the image's left to its right."""

MIN_TRACK_S = 0.4
"""A face that is seen for a shorter time, in a longer shot, is a false find: what looks like a face for a moment."""
SAME_WIDTH = 2.0
"""A face that comes back is at most so many times as wide, or as narrow, as when it was lost."""
STEADY = 0.5
"""Faces that are chosen from are seen for at least this share of the time of the one that is seen longest."""


def _width(track: FaceTrack, number: int) -> float:
    x1, _, x2, _ = track.boxes[number]
    return float(x2 - x1)


def _distance(before: FaceTrack, after: FaceTrack) -> float:
    """Pixels between the centres of the last box of one track and the first of another."""
    (last, first) = before.boxes[-1], after.boxes[0]
    return float(np.linalg.norm((last[:2] + last[2:] - first[:2] - first[2:]) / 2))


def _continues(person: Person, track: FaceTrack) -> bool:
    """Whether `track` may be the face of `person` that comes back: that is not in sight, and is about as large."""
    last = person[-1]
    ratio = _width(track, 0) / _width(last, -1)
    return last.start + len(last) <= track.start and 1 / SAME_WIDTH <= ratio <= SAME_WIDTH


def people(
    sampled: Sequence[tuple[int, Sequence[Detection]]], n_frames: int, params: TrackParams, fps: float
) -> list[Person]:
    """The faces of one shot.

    A face that is lost and comes back, wherever in the picture, is the same one as far as its size and the others in
    sight allow; of several that it could be, the nearest.

    Args:
        sampled: frame number, from the shot's first on, and detections of frames that were looked at, ascending.
        n_frames: of the shot.
        params: how detections become tracks; faces narrower than `min_face_px` are not seen.
        fps: frames a second.
    """
    wide = [(frame, [d for d in found if d.box[2] - d.box[0] >= params.min_face_px]) for frame, found in sampled]
    frames = [frame for frame, _ in wide]
    chains = link(wide, [], max(params.detect_every, round(params.max_gap_s * fps)))
    tracks = [smooth(fill(chain, (0, n_frames), frames), params.smooth_frames) for chain in chains]
    found: list[Person] = []
    for track in sorted(tracks, key=lambda track: track.start):
        if len(track) < min(MIN_TRACK_S * fps, n_frames):
            continue
        gone = [person for person in found if _continues(person, track)]
        if gone:
            min(gone, key=lambda person: _distance(person[-1], track)).append(track)
        else:
            found.append([track])
    return found


def _n_seen(person: Person) -> int:
    return sum(map(len, person))


def _area(person: Person) -> float:
    """Mean area of the boxes, pixels."""
    boxes = np.concatenate([track.boxes for track in person])
    return float(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).mean())


def _left(person: Person) -> float:
    """Mean position of the boxes' left edge, pixels."""
    return float(np.concatenate([track.boxes for track in person])[:, 0].mean())


def choose(found: list[Person], who: Who) -> list[Person]:
    """Those of a shot's people who are asked for; none where there are not so many."""
    if who == "all":
        return found
    longest = max(map(_n_seen, found), default=0)
    steady = sorted((person for person in found if _n_seen(person) >= STEADY * longest), key=_left)
    if who == "largest":
        return sorted(steady, key=_area)[-1:]
    return steady[who - 1 : who]
