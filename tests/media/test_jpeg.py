"""The published scripts' frame dump, against a dump to files as they make it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from synctalk.media import dumped, iter_frames, probe, read_video, write_video
from synctalk.media.read import resample_index
from synctalk.timebase import FPS


def moving(n_frames: int, seed: int = 0) -> np.ndarray:
    """Noise over a slope, drifting: more than 200 kbit/s can hold."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(128, 120, (160, 160 + n_frames, 3)), (0, 0), 1.2)
    return np.stack([np.clip(noise[:, shift : shift + 160], 0, 255).astype(np.uint8) for shift in range(n_frames)])


def dump_to_files(video: Path, folder: Path) -> list[np.ndarray]:
    """`ffmpeg -i VIDEO -threads 1 -f image2 FOLDER/%06d.jpg`, read with OpenCV: BGR."""
    folder.mkdir()
    with av.open(str(video)) as source, av.open(str(folder / "%06d.jpg"), "w", format="image2") as target:
        stored = source.streams.video[0]
        stream = target.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = stored.width, stored.height, "yuvj420p"
        context = stream.codec_context
        # PyAV sets these to values of its own; the command line leaves FFmpeg's
        context.bit_rate, context.bit_rate_tolerance, context.thread_count = 200_000, 4_000_000, 1
        for number, frame in enumerate(source.decode(stored)):
            picture = frame.reformat(format="yuvj420p")
            picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, FPS), 0
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return [cv2.imread(str(path)) for path in sorted(folder.iterdir())]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    write_video(path, moving(30))
    return path


def test_frames_are_those_of_the_files(video: Path, tmp_path: Path) -> None:
    files = np.stack(dump_to_files(video, tmp_path / "dump"))
    np.testing.assert_array_equal(read_video(video, jpeg=True).frames, files[..., ::-1])


def test_real_footage_is_that_of_the_files(shared: Path, tmp_path: Path) -> None:
    clip = shared / "clips/derived/audio_late_120ms.mp4"
    if not clip.exists():
        pytest.skip("the clip is kept aside")
    files = np.stack(dump_to_files(clip, tmp_path / "dump"))
    ours = read_video(clip, jpeg=True).frames
    np.testing.assert_array_equal(ours[: len(files)], files[: len(ours), :, :, ::-1])


def test_the_rate_control_spends_less_on_later_frames(video: Path) -> None:
    plain, through = read_video(video).frames, read_video(video, jpeg=True).frames
    errors = ((plain.astype(float) - through) ** 2).mean((1, 2, 3))
    assert errors[10:].min() > 2 * errors[0] > 0


def test_streamed_and_whole_are_the_same(video: Path) -> None:
    stream = probe(video).video
    assert stream is not None
    streamed = list(iter_frames(video, resample_index(stream), stream, jpeg=True))
    np.testing.assert_array_equal(streamed, read_video(video, jpeg=True).frames)


def test_pictures_of_no_file_keep_their_colours_and_shape() -> None:
    pictures = np.full((3, 48, 64, 3), (200, 100, 50), np.uint8)
    through = np.stack(list(dumped(pictures)))
    assert (through.shape, through.dtype) == (pictures.shape, np.uint8)
    assert np.abs(through.astype(int) - pictures).max() <= 3
    grey = np.tile(np.arange(64, dtype=np.uint8) * 3, (3, 48, 1))
    through = np.stack(list(dumped(grey)))
    assert through.shape == grey.shape
    assert np.abs(through.astype(int) - grey).mean() < 4
