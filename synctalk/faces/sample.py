"""Which frames a detector looks at: every k-th, and all of them where interpolation would be a guess.

A gap between neighbouring samples is unsure where faces begin or end in it, a score is low, a face moves fast or turns
back, and beside shot changes; there every frame is looked at. Elsewhere `synctalk.faces.track` interpolates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synctalk.faces.detect import Detector
from synctalk.faces.track import MIN_LINK_IOU, Detection, TrackParams, iou

LOOKED_AT = 64
"""Frames that a detector is given at a time."""


class FrameSource(Protocol):
    """Frames of a clip, RGB uint8 [H, W, 3], by number and in their order: an array of them, or a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> NDArray[np.uint8]: ...

    def __iter__(self) -> Iterator[NDArray[np.uint8]]: ...


Sampled = tuple[int, list[Detection]]
"""A frame's number and its detections."""


def sample_frames(n_frames: int, cuts: Sequence[int], every: int) -> list[int]:
    """Every k-th frame of each shot, counted from its first, and its last frame; ascending."""
    numbers: set[int] = set()
    for start, stop in pairwise([0, *cuts, n_frames]):
        numbers |= {*range(start, stop, every), stop - 1}
    return sorted(numbers)


def _partner(face: Detection, others: Sequence[Detection], sure_iou: float) -> Detection | None:
    """The one of `others` that overlaps `face` most, if by `sure_iou` at least."""
    best = max(others, key=lambda other: iou(face.box, other.box), default=None)
    return best if best is not None and iou(face.box, best.box) >= sure_iou else None


def _steady(left: Sampled, right: Sampled, sure_iou: float, sure_score: float) -> bool:
    """The same faces in both samples, well seen, and nearly in the same place."""
    if len(left[1]) != len(right[1]):
        return False
    faces = [(face, right[1]) for face in left[1]] + [(face, left[1]) for face in right[1]]
    return all(face.score >= sure_score and _partner(face, others, sure_iou) is not None for face, others in faces)


def _predictable(left: Sampled, middle: Sampled, right: Sampled, sure_iou: float) -> bool:
    """Each face of the middle sample lies where its neighbours, interpolated, put it.

    They are twice as far apart as the samples between which frames will be interpolated, which then errs by about a
    quarter of what is found here (exactly, for an even acceleration).
    """
    share = (middle[0] - left[0]) / (right[0] - left[0])
    for face in middle[1]:
        before, after = _partner(face, left[1], MIN_LINK_IOU), _partner(face, right[1], MIN_LINK_IOU)
        if before is None or after is None:
            continue  # faces that begin or end are found by `_steady`
        if iou(before.box + np.float32(share) * (after.box - before.box), face.box) < (1 + sure_iou) / 2:
            return False
    return True


def unsure_frames(sampled: Sequence[Sampled], cuts: Sequence[int], params: TrackParams, min_score: float) -> list[int]:
    """Frames between samples in which the faces cannot be told from the samples, ascending.

    Args:
        sampled: frames that were looked at, ascending, and their faces; the first and the last of each shot are there.
        cuts: frames at which a new shot begins.
        params: `sure_iou`, `sure_margin`, `min_face_px`.
        min_score: of the detector.
    """
    large = [(number, [d for d in found if d.box[2] - d.box[0] >= params.min_face_px]) for number, found in sampled]
    sure_score = min_score + params.sure_margin
    unsure: set[int] = set()

    def doubt(left: Sampled, right: Sampled) -> None:
        unsure.update(range(left[0] + 1, right[0]))

    for left, right in pairwise(large):
        beside_cut = (left[0] in cuts or right[0] + 1 in cuts) and (left[1] or right[1])
        if beside_cut or not _steady(left, right, params.sure_iou, sure_score):
            doubt(left, right)
    for left, middle, right in zip(large, large[1:], large[2:], strict=False):
        if not _predictable(left, middle, right, params.sure_iou):
            doubt(left, middle)
            doubt(middle, right)
    return sorted(unsure)


def sample_faces(frames: FrameSource, cuts: Sequence[int], detector: Detector, params: TrackParams) -> list[Sampled]:
    """Faces of every `detect_every`-th frame, and of all frames where the track is unsure.

    Args:
        frames: of the clip; they are asked for in ascending order, and a second time where the track is unsure.
        cuts: frames at which a new shot begins.
        detector: finds faces.
        params: how often, and what is sure.
    """

    def look(numbers: list[int]) -> list[Sampled]:
        found: list[list[Detection]] = []
        for first in range(0, len(numbers), LOOKED_AT):
            found += detector([frames[number] for number in numbers[first : first + LOOKED_AT]])
        return list(zip(numbers, found, strict=True))

    sampled = look(sample_frames(len(frames), cuts, params.detect_every))
    more = unsure_frames(sampled, cuts, params, detector.min_score)
    return sorted(sampled + look(more), key=lambda sample: sample[0])
