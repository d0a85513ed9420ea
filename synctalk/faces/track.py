"""From detections to one steady face track per clip.

Detections are linked by overlap, never across a shot change; gaps are interpolated up to a limit; boxes and
landmarks are smoothed within the clip only. Legend: T frames; a box is x1, y1, x2, y2 in pixels; landmarks are 5
points, x then y: the eye on the image's left, the eye on its right, nose tip, mouth corner left, mouth corner right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from synctalk.errors import ClipError, Reason
from synctalk.section import section

MIN_LINK_IOU = 0.3
"""Two detections of neighbouring samples belong to one face when they overlap at least so much."""

THUMBNAIL = 64
"""Pixels, about, of the pictures in which shot changes are found."""


@section
class TrackParams:
    """How detections become a track (params.yaml: `crop.track`)."""

    detect_every: int
    """Run the detector on every k-th frame and interpolate between."""
    max_gap_s: float
    """Longest stretch without a detection that is interpolated; a longer one ends the track."""
    smooth_frames: int
    """Width of the centred moving average over boxes and landmarks; 1 = none."""
    shot_threshold: float
    """Mean absolute grey difference (0..255) of neighbouring frames that may be a shot change."""
    several_faces: Literal["reject", "largest"]
    """`reject` the clip, or take the `largest` face."""
    min_face_px: int
    """Faces narrower than this are not counted."""
    min_cover: float
    """Share of the clip that the track must cover; less is `face_lost`."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame: box [4] and landmarks [5, 2] in pixels, score 0..1."""

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    score: float


@dataclass(frozen=True)
class FaceTrack:
    """One face over the frames `start` .. `start + T - 1` of a clip.

    Attributes:
        start: first frame.
        boxes: float32 [T, 4].
        landmarks: float32 [T, 5, 2].
    """

    start: int
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(eq=False)
class _Chain:
    """Detections of one face while they are being linked."""

    frames: list[int]
    detections: list[Detection]


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, 0..1."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    intersection = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - intersection
    return intersection / union if union > 0 else 0.0


def thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A small grey picture of a frame, by leaving out rows and columns: what shot changes are found in."""
    small = frame[:: max(1, frame.shape[0] // THUMBNAIL), :: max(1, frame.shape[1] // THUMBNAIL)]
    grey: NDArray[np.float32] = small.astype(np.float32).mean(-1)
    return grey


def shot_changes(thumbnails: NDArray[np.float32], threshold: float) -> list[int]:
    """Frames at which a new shot begins: thumbnails [T, h, w] -> ascending frame numbers.

    A change is a mean absolute grey difference above `threshold` that also stands out four-fold from its
    neighbourhood, so that fast motion and flicker are no changes.
    """
    difference = np.abs(np.diff(thumbnails, axis=0)).mean((1, 2))
    changes = []
    for i in np.flatnonzero(difference > threshold):
        around = np.concatenate([difference[max(0, i - 6) : i], difference[i + 1 : i + 7]])
        if len(around) == 0 or difference[i] > 4 * np.median(around):
            changes.append(int(i) + 1)
    return changes


def link(sampled: Sequence[tuple[int, Sequence[Detection]]], cuts: Sequence[int], max_gap: int) -> list[_Chain]:
    """Chains of detections that overlap from sample to sample, cut at `cuts` and at gaps of more than `max_gap`
    frames.
    """
    done: list[_Chain] = []
    alive: list[_Chain] = []
    previous = -1
    for frame, detections in sampled:
        crossed = any(previous < cut <= frame for cut in cuts)
        still = [] if crossed else [chain for chain in alive if frame - chain.frames[-1] <= max_gap]
        done += [chain for chain in alive if chain not in still]
        free = list(detections)
        for chain in sorted(still, key=lambda chain: -len(chain.frames)):
            best = max(free, key=lambda detection: iou(chain.detections[-1].box, detection.box), default=None)
            if best is not None and iou(chain.detections[-1].box, best.box) >= MIN_LINK_IOU:
                chain.frames.append(frame)
                chain.detections.append(best)
                free = [detection for detection in free if detection is not best]
        alive = still + [_Chain([frame], [detection]) for detection in free]
        previous = frame
    return done + alive


def _fill(chain: _Chain, shot: tuple[int, int], detect_every: int) -> FaceTrack:
    """Every frame of a chain, linearly interpolated; its ends reach as far as one sampling step, within the shot."""
    first = max(shot[0], chain.frames[0] - detect_every + 1)
    last = min(shot[1] - 1, chain.frames[-1] + detect_every - 1)
    values = np.stack([np.concatenate([d.box, d.landmarks.ravel()]) for d in chain.detections])
    wanted = np.arange(first, last + 1)
    columns = [np.interp(wanted, chain.frames, values[:, i]) for i in range(values.shape[1])]
    filled = np.stack(columns, axis=1).astype(np.float32)
    return FaceTrack(first, filled[:, :4], filled[:, 4:].reshape(-1, 5, 2))


def smooth(track: FaceTrack, width: int) -> FaceTrack:
    """Centred moving average of `width` frames over boxes and landmarks; the ends repeat their edge value."""
    if width <= 1:
        return track
    return FaceTrack(
        track.start,
        uniform_filter1d(track.boxes, width, axis=0, mode="nearest"),
        uniform_filter1d(track.landmarks, width, axis=0, mode="nearest"),
    )


def choose_track(
    sampled: Sequence[tuple[int, Sequence[Detection]]],
    cuts: Sequence[int],
    n_frames: int,
    params: TrackParams,
    fps: int,
) -> FaceTrack:
    """The clip's face track: the longest chain, or the largest face where two are equally long.

    Args:
        sampled: frame number and detections of the frames on which the detector ran, ascending.
        cuts: frames at which a new shot begins.
        n_frames: frames of the clip.
        params: limits and choices.
        fps: frames a second of the clip.

    Raises:
        ClipError: `NO_FACE`, `SEVERAL_FACES` (where `several_faces` is `reject` and a second face is there for half
            as long as the first), `FACE_LOST` (the track covers less than `min_cover` of its shot).
    """
    wide = [(frame, [d for d in found if d.box[2] - d.box[0] >= params.min_face_px]) for frame, found in sampled]
    n_seen = sum(bool(found) for _, found in wide)
    if n_seen == 0:
        raise ClipError(Reason.NO_FACE, f"no face of {params.min_face_px} px in {len(sampled)} sampled frames")
    chains = link(wide, cuts, max(params.detect_every, round(params.max_gap_s * fps)))
    bounds = [0, *cuts, n_frames]
    shots = list(pairwise(bounds))

    def area(chain: _Chain) -> float:
        return float(np.mean([np.prod(d.box[2:] - d.box[:2]) for d in chain.detections]))

    chains.sort(key=lambda chain: (-len(chain.frames), -area(chain)))
    best = chains[0]
    shot = next(shot for shot in shots if shot[0] <= best.frames[0] < shot[1])
    rivals = [c for c in chains[1:] if shot[0] <= c.frames[0] < shot[1] and 2 * len(c.frames) >= len(best.frames)]
    simultaneous = [c for c in rivals if set(c.frames) & set(best.frames)]
    if simultaneous:
        if params.several_faces == "reject":
            raise ClipError(Reason.SEVERAL_FACES, f"{len(simultaneous) + 1} faces at the same time")
        best = max([best, *simultaneous], key=area)
    track = _fill(best, shot, params.detect_every)
    cover = len(track) / (shot[1] - shot[0])
    if cover < params.min_cover:
        raise ClipError(
            Reason.NO_FACE if cover < 0.5 else Reason.FACE_LOST,
            f"a face in {cover:.0%} of the shot, {params.min_cover:.0%} are needed",
        )
    return smooth(track, params.smooth_frames)
