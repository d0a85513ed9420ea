"""Which stored frames a dubbed video shows, in which order and when; and how they are decoded in that order.

Legend: N stored frames, M shown frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synctalk.generation.fit import Fit
from synctalk.media import iter_frames
from synctalk.media.probe import VideoStream

HELD_BYTES = 2**28
"""Frames are held in memory up to so many bytes, and one at least."""
ROUNDING_S = 1e-6
"""Times that differ by less are the same: sums of frame lengths are not exact."""
STILL_FRAMES = 1024
"""A picture that stands still is repeated so many times a leg."""


def n_held(stream: VideoStream, at_most: int) -> int:
    """How many frames of `stream` are held at a time."""
    return min(at_most, max(1, HELD_BYTES // (3 * stream.width * stream.height)))


@dataclass(frozen=True)
class Playback:
    """What is shown.

    Attributes:
        legs: stored frame numbers, each leg a run of neighbours that rises or falls, or one number repeated.
        starts_s: time of each shown frame, the first at 0, [M].
        duration_s: to the end of the last frame.
    """

    legs: list[NDArray[np.int64]]
    starts_s: NDArray[np.float64]
    duration_s: float

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Stored number of each shown frame, [M]."""
        return np.concatenate(self.legs)


def _endless_legs(n_frames: int, fit: Fit) -> Iterator[NDArray[np.int64]]:
    """Runs over the footage for ever; where it turns, no frame is shown twice in a row."""
    if n_frames == 1:
        while True:
            yield np.zeros(STILL_FRAMES, np.int64)
    while True:
        yield np.arange(n_frames)
        if fit is Fit.PING_PONG and n_frames > 2:
            yield np.arange(n_frames - 2, 0, -1)


def playback(stream: VideoStream, audio_s: float, fit: Fit) -> Playback:
    """The frames to show with `audio_s` seconds of audio; one at least.

    Every frame is shown for as long as it is in the footage, forwards and backwards, so that a variable rate stays one.
    """
    lasts_s = np.append(np.diff(stream.pts_s), stream.frame_s)
    wanted_s = {Fit.KEEP: stream.duration_s, Fit.CUT: min(stream.duration_s, audio_s)}.get(fit, audio_s) - ROUNDING_S
    legs: list[NDArray[np.int64]] = []
    ends_s: list[NDArray[np.float64]] = []
    end_s = 0.0
    for leg in _endless_legs(stream.n_frames, fit):
        ends = end_s + np.cumsum(lasts_s[leg])
        n_shown = 1 + int(np.searchsorted(ends[:-1], wanted_s))  # those that begin before the end
        legs.append(leg[:n_shown])
        ends_s.append(ends[:n_shown])
        end_s = float(ends[n_shown - 1])
        if end_s >= wanted_s:
            break
    return Playback(legs, np.append(0.0, np.concatenate(ends_s)[:-1]), end_s)


def played_frames(
    path: Path, stream: VideoStream, legs: list[NDArray[np.int64]], held: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Number and picture of every frame of the legs, in bounded memory.

    What runs backwards is decoded `held` frames at a time, each time from the key frame before them.
    """
    for leg in legs:
        if len(leg) == 1 or leg[1] >= leg[0]:
            yield from zip(leg.tolist(), iter_frames(path, leg, stream), strict=True)
            continue
        for start in range(0, len(leg), held):
            numbers = leg[start : start + held][::-1]
            yield from zip(numbers[::-1].tolist(), list(iter_frames(path, numbers, stream))[::-1], strict=True)
