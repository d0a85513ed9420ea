"""Which frames are shown and when: by hand for each way to fit audio and picture, and decoded in that order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synctalk.generation import playback as module
from synctalk.generation.fit import Fit
from synctalk.generation.playback import n_held, playback, played_frames
from synctalk.media import probe, write_video
from synctalk.media.probe import VideoStream
from synctalk.media.read import require_video


def stream(*pts_s: float, fps: float = 10.0) -> VideoStream:
    return VideoStream(0, np.array(pts_s), 64, 48, fps, "h264")


EVEN = stream(2.0, 2.1, 2.2, 2.3)
"""0.4 s that begin at 2 s."""


@pytest.mark.parametrize(
    ("fit", "sound_s", "order"),
    [
        (Fit.KEEP, 0.15, [0, 1, 2, 3]),
        (Fit.KEEP, 9.0, [0, 1, 2, 3]),
        (Fit.CUT, 9.0, [0, 1, 2, 3]),
        (Fit.CUT, 0.2, [0, 1]),
        (Fit.CUT, 0.21, [0, 1, 2]),
        (Fit.CUT, 0.0, [0]),
        (Fit.LOOP, 0.15, [0, 1]),
        (Fit.LOOP, 0.4, [0, 1, 2, 3]),
        (Fit.LOOP, 1.05, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]),
        (Fit.PING_PONG, 0.4, [0, 1, 2, 3]),
        (Fit.PING_PONG, 1.05, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]),
    ],
)
def test_the_order_by_hand(fit: Fit, sound_s: float, order: list[int]) -> None:
    shown = playback(EVEN, sound_s, fit)
    assert shown.order.tolist() == order
    np.testing.assert_allclose(shown.starts_s, 0.1 * np.arange(len(order)), atol=1e-9)
    assert shown.duration_s == pytest.approx(0.1 * len(order))


def test_a_frame_lasts_as_long_backwards_as_forwards() -> None:
    shown = playback(stream(0.0, 0.1, 0.4, 0.5), 1.4, Fit.PING_PONG)
    assert shown.order.tolist() == [0, 1, 2, 3, 2, 1, 0, 1]
    lasts = np.diff(np.append(shown.starts_s, shown.duration_s))
    np.testing.assert_allclose(lasts, [0.1, 0.3, 0.1, 0.1, 0.1, 0.3, 0.1, 0.3])


@pytest.mark.parametrize("fit", [Fit.LOOP, Fit.PING_PONG])
@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_the_shortest_footage_fills_any_sound(fit: Fit, n_frames: int) -> None:
    shown = playback(stream(*(0.1 * np.arange(n_frames)), fps=10.0), 200.0, fit)
    assert shown.duration_s == pytest.approx(200.0, abs=0.1)
    assert set(shown.order.tolist()) == set(range(n_frames))
    assert (np.diff(shown.starts_s) > 0).all()
    assert len(shown.legs) < 1100


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("fit", [Fit.LOOP, Fit.PING_PONG])
def test_frames_are_decoded_in_the_order_that_is_shown(tmp_path: Path, fit: Fit, suffix: str) -> None:
    """Frame k is a grey of 8 k, with key frames every 7: runs backwards begin within a group of pictures."""
    path = tmp_path / f"ramp{suffix}"
    greys = np.broadcast_to((8 * np.arange(30, dtype=np.uint8))[:, None, None, None], (30, 32, 32, 3))
    write_video(path, iter(greys), gop=7, lossless=True)
    found = require_video(probe(path))
    shown = playback(found, 3.0, fit)
    assert len(shown.order) == 75
    played = list(played_frames(path, found, shown.legs, held=4))
    assert [number for number, _ in played] == shown.order.tolist()
    assert [int(frame[5, 5, 0]) for _, frame in played] == (8 * shown.order).tolist()


def test_frames_are_held_by_their_size() -> None:
    large = VideoStream(0, np.zeros(1), 3840, 2160, 25.0, "hevc")
    assert n_held(EVEN, 64) == 64
    assert n_held(large, 64) == 10
    assert n_held(VideoStream(0, np.zeros(1), 2**15, 2**15, 25.0, "hevc"), 64) == 1
    assert module.HELD_BYTES >= 10 * 3840 * 2160 * 3
