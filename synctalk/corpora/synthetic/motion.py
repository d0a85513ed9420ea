"""How a head moves while it speaks: slow turns and nods, and blinks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synctalk.timebase import FPS

BLINK = (0.35, 0.9, 1.0, 0.7, 0.3)
"""Lid position over the frames of a blink: 0 open, 1 shut."""


@dataclass(frozen=True)
class Motion:
    """Head pose and lids of an utterance, one value a frame, [T] each.

    Attributes:
        yaw, pitch, roll: degrees; positive yaw turns to the right of the image, positive pitch looks down.
        dx, dy: face units.
        zoom: factor.
        lids: 0 open .. 1 shut.
    """

    yaw: NDArray[np.float32]
    pitch: NDArray[np.float32]
    roll: NDArray[np.float32]
    dx: NDArray[np.float32]
    dy: NDArray[np.float32]
    zoom: NDArray[np.float32]
    lids: NDArray[np.float32]

    @property
    def n_frames(self) -> int:
        return len(self.yaw)


def _wander(rng: np.random.Generator, n_frames: int, speed: float = 1.0) -> NDArray[np.float32]:
    """Smooth random motion of about unit deviation: five waves of 0.15 to 1 Hz."""
    t = np.arange(n_frames) / FPS
    frequency = rng.uniform(0.15, 1.0, 5) * speed
    phase = rng.uniform(0, 2 * np.pi, 5)
    size = rng.uniform(0.5, 1.0, 5) / np.sqrt(1 + (2 * frequency / speed) ** 2)
    waves = size[:, None] * np.sin(2 * np.pi * frequency[:, None] * t + phase[:, None])
    total: NDArray[np.float32] = (waves.sum(0) / np.sqrt((size**2).sum() / 2)).astype(np.float32)
    return total


def _blinks(rng: np.random.Generator, n_frames: int) -> NDArray[np.float32]:
    lids = np.zeros(n_frames + len(BLINK), np.float32)
    start = float(rng.uniform(0, 3.5))
    while start * FPS < n_frames:
        first = int(start * FPS)
        lids[first : first + len(BLINK)] = BLINK
        start += float(rng.uniform(1.6, 4.5))
    return lids[:n_frames]


def draw_motion(
    rng: np.random.Generator, n_frames: int, pose: tuple[float, float, float], liveliness: float = 1.0
) -> Motion:
    """Motion about a mean pose.

    Args:
        rng: fresh generator.
        n_frames: length.
        pose: mean yaw, pitch and roll, degrees.
        liveliness: factor on the size of every motion.
    """
    size = liveliness
    return Motion(
        yaw=(pose[0] + 2.2 * size * _wander(rng, n_frames)).astype(np.float32),
        pitch=(pose[1] + 1.6 * size * _wander(rng, n_frames, 1.4)).astype(np.float32),
        roll=(pose[2] + 1.0 * size * _wander(rng, n_frames)).astype(np.float32),
        dx=(0.025 * size * _wander(rng, n_frames)).astype(np.float32),
        dy=(0.02 * size * _wander(rng, n_frames, 1.3)).astype(np.float32),
        zoom=(1 + 0.008 * size * _wander(rng, n_frames, 0.7)).astype(np.float32),
        lids=_blinks(rng, n_frames),
    )
