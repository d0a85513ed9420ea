"""Program streams as GRID's: flash and click stay together."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from synctalk.media import probe, read_audio, read_video, write_mpeg
from synctalk.timebase import SAMPLE_RATE, n_samples

N, FLASHES = 60, (12, 40)


def test_flashes_and_clicks_are_read_back_where_they_were_written(tmp_path: Path) -> None:
    frames = np.full((N, 64, 80, 3), 40, np.uint8)
    pcm = np.zeros(n_samples(N), np.int16)
    for flash in FLASHES:
        frames[flash] = 220
        pcm[n_samples(flash) : n_samples(flash) + 160] = 20_000 * np.sign(np.sin(np.arange(160) * 0.9 + 0.1))
    write_mpeg(tmp_path / "clip.mpg", frames, pcm)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mpg"]

    info = probe(tmp_path / "clip.mpg")
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.codec, info.video.n_frames, info.video.width, info.video.height) == ("mpeg1video", N, 80, 64)
    assert (info.audio.sample_rate, info.audio.channels) == (44_100, 1)
    light = read_video(tmp_path / "clip.mpg").frames.mean((1, 2, 3))
    assert tuple(np.flatnonzero(light > 130)) == FLASHES
    decoded = read_audio(tmp_path / "clip.mpg", info.video.start_s)
    for flash in FLASHES:
        around = slice(n_samples(flash) - 1600, n_samples(flash) + 1600)
        first = int(np.flatnonzero(np.abs(decoded[around].astype(int)) > 6_000)[0]) - 1600
        assert abs(first) / SAMPLE_RATE < 0.01


def test_no_frames_are_an_error_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frames to write"):
        write_mpeg(tmp_path / "clip.mpg", [], np.zeros(10, np.int16))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores of a process can be chosen on Linux only")
def test_the_bytes_do_not_depend_on_the_number_of_cores(tmp_path: Path) -> None:
    """FFmpeg's MPEG-1 encoder cuts a picture in as many slices as it has threads, by default one a core."""
    frames = list(np.random.default_rng(0).integers(0, 256, (4, 288, 360, 3)).astype(np.uint8))
    cores = os.sched_getaffinity(0)
    written = []
    try:
        for some in (cores, {min(cores)}):
            os.sched_setaffinity(0, some)
            write_mpeg(tmp_path / "clip.mpg", frames, np.zeros(4 * 640, np.int16))
            written.append((tmp_path / "clip.mpg").read_bytes())
    finally:
        os.sched_setaffinity(0, cores)
    assert written[0] == written[1]
