"""Pictures and sound on one time line: flashes and clicks planted at the same moment come out at the same frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from synctalk.errors import ClipError, Reason
from synctalk.media.probe import probe
from synctalk.media.read import iter_frames, read_audio, read_video, resample_index
from synctalk.media.write import write_audio, write_video
from synctalk.timebase import FPS, SAMPLE_RATE

EVENTS_S = (0.4, 1.0, 1.64)


def flash_and_click(fps: Fraction, seconds: float, sample_rate: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Dark frames with white ones at EVENTS_S, and silence with clicks at the start of those frames."""
    frames, pcm = [], np.zeros(int(seconds * sample_rate), np.int16)
    starts = {round(event * fps) for event in EVENTS_S}
    for number in range(int(seconds * fps)):
        frames.append(np.full((32, 48, 3), 255 if number in starts else 16, np.uint8))
        if number in starts:
            at = round(float(number / fps) * sample_rate)
            pcm[at : at + sample_rate // 200] = 20_000
    return frames, pcm


def offsets_s(path: Path) -> list[float]:
    """Seconds from each flash to the click that is nearest."""
    info = probe(path)
    assert info.video is not None
    light = read_video(path, info).frames.mean((1, 2, 3))
    flashes = [i / FPS for i in range(1, len(light)) if light[i] > 120 >= light[i - 1]]
    sound = np.abs(read_audio(path, info.video.start_s).astype(int)) > 6000
    clicks = np.flatnonzero(sound & ~np.roll(sound, 1)) / SAMPLE_RATE
    assert len(flashes) == len(EVENTS_S)
    return [float(clicks[np.abs(clicks - flash).argmin()] - flash) for flash in flashes]


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(50)])
@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
def test_flash_and_click_stay_together_where_frames_fall_on_frames(
    tmp_path: Path, fps: Fraction, sample_rate: int
) -> None:
    frames, pcm = flash_and_click(fps, 2.4, sample_rate)
    path = tmp_path / "clip.mp4"
    write_video(path, frames, audio=pcm, fps=fps, sample_rate=sample_rate, gop=12)
    assert max(map(abs, offsets_s(path))) < 0.005


@pytest.mark.parametrize("fps", [Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(30)])
def test_other_rates_are_off_by_less_than_a_frame_and_without_drift(tmp_path: Path, fps: Fraction) -> None:
    frames, pcm = flash_and_click(fps, 2.4, 16_000)
    path = tmp_path / "clip.mp4"
    write_video(path, frames, audio=pcm, fps=fps)
    found = offsets_s(path)
    assert max(map(abs, found)) <= 0.5 / FPS + 0.005
    assert abs(found[-1] - found[0]) <= 1 / FPS


def mux_with_delay(path: Path, frames: list[np.ndarray], pcm: np.ndarray, video_delay_s: float) -> None:
    """A file whose video stream begins `video_delay_s` after its audio."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        shift = round(video_delay_s * 25)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number + shift, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def test_a_late_video_stream_does_not_shift_the_sound(tmp_path: Path) -> None:
    frames, pcm = flash_and_click(Fraction(25), 2.4, 16_000)
    delay = 0.84
    path = tmp_path / "late.mkv"
    mux_with_delay(path, frames, np.concatenate([np.zeros(round(delay * 16_000), np.int16), pcm]), delay)
    info = probe(path)
    assert info.video is not None
    assert info.video.start_s == pytest.approx(delay, abs=0.002)
    assert max(map(abs, offsets_s(path))) < 0.005


def test_resampling_picks_the_nearest_frame_of_variable_rate_video(tmp_path: Path) -> None:
    frames, _ = flash_and_click(Fraction(25), 0.4, 16_000)
    path = tmp_path / "clip.mp4"
    write_video(path, frames)
    stream = probe(path).video
    assert stream is not None
    np.testing.assert_array_equal(resample_index(stream), np.arange(10))
    # at 12.5 fps every second frame
    np.testing.assert_array_equal(resample_index(stream, 12.5), [0, 2, 4, 6, 8])


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
def test_written_sound_is_read_back_at_the_same_place(tmp_path: Path, suffix: str) -> None:
    _, pcm = flash_and_click(Fraction(25), 2.4, 16_000)
    write_audio(tmp_path / f"sound{suffix}", pcm)
    back = read_audio(tmp_path / f"sound{suffix}")
    first = int(np.flatnonzero(np.abs(back.astype(int)) > 6000)[0])
    assert abs(first - round(EVENTS_S[0] * 16_000)) <= 16


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames, pcm = flash_and_click(Fraction(25), 1.0, 16_000)
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, frames, audio=pcm)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_lossless_video_keeps_every_pixel(tmp_path: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8))
    write_video(tmp_path / "clip.mp4", frames, lossless=True)
    np.testing.assert_array_equal(read_video(tmp_path / "clip.mp4").frames, np.stack(frames))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    frames = [np.zeros((32, 48, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)]
    with pytest.raises(ValueError, match="frame 1"):
        write_video(tmp_path / "clip.mp4", frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pts_s", "words"),
    [
        ([-0.04, 0.0, 0.04], "frame 0 is at -0.0400 s"),
        ([0.0, 0.0, 0.04], "frame 1 is at 0.0000 s"),
        ([0.0, 0.08, 0.04], "frame 2"),
        ([0.0, 0.04], "more frames than"),
    ],
)
def test_times_that_cannot_be_written_are_refused(tmp_path: Path, pts_s: list[float], words: str) -> None:
    frames = [np.zeros((32, 48, 3), np.uint8)] * 3
    with pytest.raises(ValueError, match=words):
        write_video(tmp_path / "clip.mp4", frames, pts_s=np.asarray(pts_s))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
def test_no_audio_is_not_written(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match="no sound to write"):
        write_audio(tmp_path / f"sound{suffix}", np.zeros(0, np.int16))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(241, 321), (64, 65), (1, 1), (2, 2), (120, 160)])
def test_every_size_is_written_and_read_back(tmp_path: Path, size: tuple[int, int]) -> None:
    for n_frames in (1, 3):
        frames = [np.full((*size, 3), 80 * number, np.uint8) for number in range(n_frames)]
        write_video(tmp_path / "clip.mp4", frames, audio=np.zeros(100, np.int16), crf=1)
        back = read_video(tmp_path / "clip.mp4").frames
        assert back.shape == (n_frames, *size, 3)
        assert np.abs(back.astype(int) - np.stack(frames)).max() <= 4


def test_the_index_stands_in_front_and_tags_are_kept(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", [np.zeros((32, 48, 3), np.uint8)] * 3, metadata={"comment": "Zürich, “made”"})
    blob = (tmp_path / "clip.mp4").read_bytes()
    assert 0 < blob.index(b"moov") < blob.index(b"mdat")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.metadata["comment"] == "Zürich, “made”"


def test_frames_by_number_are_those_of_a_decoder_in_order(shared: Path) -> None:
    # a decoder that seeks in MPEG-PS drops the first 12 frames of these files; FFmpeg in order is the reference
    for path in sorted((shared / "clips" / "grid").glob("*.mpg"))[:3]:
        with av.open(str(path)) as container:
            reference = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        index = np.arange(len(reference))
        np.testing.assert_array_equal(np.stack(list(iter_frames(path, index))), np.stack(reference))
        np.testing.assert_array_equal(next(iter_frames(path, np.array([17]))), reference[17])


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", Reason.EMPTY_FILE), (b"no video at all", Reason.UNDECODABLE)],
)
def test_bad_files_are_named_with_a_reason(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError, match=r"bad\.mp4") as error:
        probe(path)
    assert error.value.reason == reason


def test_a_truncated_video_is_named_so(tmp_path: Path) -> None:
    frames, pcm = flash_and_click(Fraction(25), 2.0, 16_000)
    write_video(tmp_path / "whole.mp4", frames, audio=pcm)
    blob = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(blob[: len(blob) // 2])
    with pytest.raises(ClipError) as error:
        read_video(tmp_path / "cut.mp4")
    assert error.value.reason == Reason.TRUNCATED


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    frames, _ = flash_and_click(Fraction(25), 0.4, 16_000)
    write_video(tmp_path / "mute.mp4", frames)
    assert probe(tmp_path / "mute.mp4").audio is None
    with pytest.raises(ClipError) as error:
        read_audio(tmp_path / "mute.mp4")
    assert error.value.reason == Reason.NO_AUDIO
