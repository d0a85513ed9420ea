"""From detections to one steady face track per clip.

Detections are linked by overlap, never across a shot change; gaps are interpolated up to a limit; boxes and
landmarks are smoothed within the clip only.

Legend: T frames; a box is x1, y1, x2, y2 in pixels; landmarks are N points, x then y. Detectors give 5: the eye on the
image's left, the eye on its right, nose tip, mouth corner left, mouth corner right. Published tracks may have 68 (iBUG)
or 106 (insightface's 2d106).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from synctalk.errors import ClipError, Reason
from synctalk.params.section import section

MIN_LINK_IOU = 0.3
"""Two detections of neighbouring samples belong to one face when they overlap at least so much."""

LANDMARKS = (5, 68, 106)
"""Points that a face may have: `FaceTrack`."""

THUMBNAIL = 64
"""Pixels, about, of the pictures in which shot changes are found."""


@section
class TrackParams:
    """How detections become a track (params.yaml: `crop.track`)."""

    detect_every: int
    """Run the detector on every k-th frame of a shot and interpolate between."""
    sure_iou: float = 0.8
    """Least overlap of a face in neighbouring samples, and with the place that its neighbours foretell; below it, the
    detector looks at every frame between them.
    """
    sure_margin: float = 0.1
    """How far above the detector's `min_score` a score must lie; below it, the same."""
    max_gap_s: float = 0.4
    """Longest stretch without a detection that is interpolated; a longer one ends the track."""
    smooth_frames: int = 5
    """Width of the centred moving average over boxes and landmarks; 1 = none."""
    shot_threshold: float = 12.0
    """Mean absolute grey difference (0..255) of neighbouring frames that may be a shot change."""
    several_faces: Literal["reject", "largest", "steadiest", "all"]
    """Of several people: `reject` the clip, take the `largest` or `steadiest`, or keep `all`. The steadiest
    is chosen by size and steadiness; of all, each is a sample of its own.
    """
    min_face_px: int
    """Faces narrower than this are not counted."""
    min_cover: float
    """Share of the clip that the track must cover; less is `face_lost`."""


ANY_FOOTAGE = TrackParams(
    detect_every=3,
    sure_iou=0.8,
    sure_margin=0.1,
    max_gap_s=0.6,
    smooth_frames=7,
    shot_threshold=12.0,
    several_faces="largest",
    min_face_px=32,
    min_cover=0.0,
)
"""How faces are tracked in footage of any kind, where what is not found is left alone instead of rejected."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame: box [4] and landmarks [N, 2] in pixels, score 0..1."""

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    score: float


@dataclass(frozen=True)
class FaceTrack:
    """One face over the frames `start` .. `start + T - 1` of a clip.

    Attributes:
        start: first frame.
        boxes: float32 [T, 4].
        landmarks: float32 [T, N, 2]; N as in `LANDMARKS`.
    """

    start: int
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(eq=False)
class Chain:
    """Detections of one face while they are being linked."""

    frames: list[int]
    detections: list[Detection]


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, 0..1."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    intersection = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - intersection
    return intersection / union if union > 0 else 0.0


def thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small grey picture of a frame, by leaving out rows and columns: what shot changes are found in."""
    small = frame[:: max(1, frame.shape[0] // THUMBNAIL), :: max(1, frame.shape[1] // THUMBNAIL)]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2GRAY), np.uint8)


def grey_difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two thumbnails, 0..255."""
    return float(np.abs(after.astype(np.int16) - before).mean())


def shot_changes(thumbnails: Iterable[NDArray[np.uint8]], threshold: float) -> list[int]:
    """Frames at which a new shot begins: thumbnails [h, w], which may come one by one -> ascending frame numbers; see
    `standing_out`.
    """
    return standing_out(np.array([grey_difference(*pair) for pair in pairwise(thumbnails)]), threshold)


def standing_out(difference: NDArray[np.float64], threshold: float) -> list[int]:
    """Frames at which a new shot begins, from the `grey_difference` of each frame to the next, [T - 1].

    A change is a difference above `threshold` that also stands out four-fold from its neighbourhood, so that fast
    motion and flicker are no changes.
    """
    changes = []
    for i in np.flatnonzero(difference > threshold):
        around = np.concatenate([difference[max(0, i - 6) : i], difference[i + 1 : i + 7]])
        if len(around) == 0 or difference[i] > 4 * np.median(around):
            changes.append(int(i) + 1)
    return changes


def link(sampled: Sequence[tuple[int, Sequence[Detection]]], cuts: Sequence[int], max_gap: int) -> list[Chain]:
    """Chains of detections that overlap from sample to sample, cut at `cuts` and at gaps of more than `max_gap`
    frames.
    """
    done: list[Chain] = []
    alive: list[Chain] = []
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
        alive = still + [Chain([frame], [detection]) for detection in free]
        previous = frame
    return done + alive


def fill(chain: Chain, shot: tuple[int, int], sampled: Sequence[int]) -> FaceTrack:
    """Every frame of a chain, linearly interpolated; its ends reach to the next sample, where the face was not seen."""
    before, after = bisect_left(sampled, chain.frames[0]) - 1, bisect_right(sampled, chain.frames[-1])
    first = max(shot[0], sampled[before] + 1 if before >= 0 else shot[0])
    last = min(shot[1] - 1, sampled[after] - 1 if after < len(sampled) else shot[1] - 1)
    values = np.stack([np.concatenate([d.box, d.landmarks.ravel()]) for d in chain.detections])
    wanted = np.arange(first, last + 1)
    columns = [np.interp(wanted, chain.frames, values[:, i]) for i in range(values.shape[1])]
    filled = np.stack(columns, axis=1).astype(np.float32)
    return FaceTrack(first, filled[:, :4], filled[:, 4:].reshape(len(filled), -1, 2))


def smooth(track: FaceTrack, width: int) -> FaceTrack:
    """Centred moving average of `width` frames over boxes and landmarks; the ends repeat their edge value."""
    if width <= 1:
        return track
    return FaceTrack(
        track.start,
        uniform_filter1d(track.boxes, width, axis=0, mode="nearest"),
        uniform_filter1d(track.landmarks, width, axis=0, mode="nearest"),
    )


def _presence(chain: Chain, sampled: Sequence[int]) -> float:
    """Frames that a chain's detections stand for: each for half the way to the samples before and after it."""
    frames = np.asarray(sampled, np.float64)
    middles = (frames[1:] + frames[:-1]) / 2
    share = np.diff(np.concatenate([[frames[0] - 0.5], middles, [frames[-1] + 0.5]]))
    return float(share[np.searchsorted(frames, chain.frames)].sum())


def _size(track: FaceTrack) -> float:
    """Mean area of a track's boxes, pixels."""
    return float(np.prod(track.boxes[:, 2:] - track.boxes[:, :2], axis=1).mean())


def _steadiness(track: FaceTrack) -> float:
    """Mean overlap (IoU, 0..1) of a track's boxes with their median: a face that stays where it is has nearly 1."""
    middle = np.median(track.boxes, axis=0)
    return float(np.mean([iou(box, middle) for box in track.boxes]))


def _shot_tracks(
    chains: list[Chain], shot: tuple[int, int], sampled: Sequence[int], params: TrackParams
) -> list[FaceTrack]:
    """The faces of one shot that `several_faces` keeps, unsmoothed.

    Raises:
        ClipError: `NO_FACE`, `SEVERAL_FACES` or `FACE_LOST`: the shot cannot be used.
    """
    inside = [chain for chain in chains if shot[0] <= chain.frames[0] < shot[1]]
    if not inside:
        raise ClipError(Reason.NO_FACE, f"no face in the frames {shot[0]} to {shot[1] - 1}")
    presence = {id(chain): _presence(chain, sampled) for chain in inside}
    tracks = {id(chain): fill(chain, shot, sampled) for chain in inside}
    main = max(inside, key=lambda chain: (presence[id(chain)], _size(tracks[id(chain)])))
    rivals = [
        chain
        for chain in inside
        if chain is not main and 2 * presence[id(chain)] >= presence[id(main)] and set(chain.frames) & set(main.frames)
    ]
    if rivals and params.several_faces == "reject":
        raise ClipError(Reason.SEVERAL_FACES, f"{len(rivals) + 1} faces at the same time")
    found = [tracks[id(chain)] for chain in (main, *rivals)]
    if params.several_faces == "largest":
        found = [max(found, key=_size)]
    elif params.several_faces == "steadiest":
        found = [max(found, key=lambda track: np.sqrt(_size(track)) * _steadiness(track) * len(track))]
    covers = [len(track) / (shot[1] - shot[0]) for track in found]
    kept = [track for track, cover in zip(found, covers, strict=True) if cover >= params.min_cover]
    if not kept:
        raise ClipError(
            Reason.NO_FACE if max(covers) < 0.5 else Reason.FACE_LOST,
            f"a face in {max(covers):.0%} of the shot, {params.min_cover:.0%} are needed",
        )
    return kept


def choose_tracks(
    sampled: Sequence[tuple[int, Sequence[Detection]]],
    cuts: Sequence[int],
    n_frames: int,
    params: TrackParams,
    fps: int,
) -> list[FaceTrack]:
    """The clip's face track; several where `several_faces` is `all` and several people are there at the same time.

    Of several shots the longest usable one is kept, the earliest of equally long ones: a face must cover `min_cover` of
    it, and where `several_faces` is `reject`, no second face may be there for half as long as the first.

    Args:
        sampled: frame number and detections of the frames on which the detector ran, ascending.
        cuts: frames at which a new shot begins.
        n_frames: frames of the clip.
        params: limits and choices.
        fps: frames a second of the clip.

    Raises:
        ClipError: `NO_FACE`, `SEVERAL_FACES` or `FACE_LOST`, as the longest shot has it, where none is usable.
    """
    wide = [(frame, [d for d in found if d.box[2] - d.box[0] >= params.min_face_px]) for frame, found in sampled]
    if not any(found for _, found in wide):
        raise ClipError(Reason.NO_FACE, f"no face of {params.min_face_px} px in {len(sampled)} sampled frames")
    chains = link(wide, cuts, max(params.detect_every, round(params.max_gap_s * fps)))
    errors = []
    for shot in sorted(pairwise([0, *cuts, n_frames]), key=lambda shot: shot[0] - shot[1]):
        try:
            tracks = _shot_tracks(chains, shot, [frame for frame, _ in wide], params)
        except ClipError as error:
            errors.append(error)
            continue
        return [smooth(track, params.smooth_frames) for track in tracks]
    raise errors[0]
