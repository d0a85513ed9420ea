"""Audio keeps its level and its pitch on the way to 16 kHz mono."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from planted import Kind, find_click, make

from synctalk.media import probe, read_audio
from synctalk.media.read import require_video

RATE = 48_000


def tone(hz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> NDArray[np.float64]:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, channels: NDArray[np.float64], layout: str, codec: str = "pcm_f32le", rate: int = RATE) -> None:
    """Audio [channels, n] as it is."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        packed = np.ascontiguousarray(channels.T.astype(np.float32)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate, frame_size=1024)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))


def level_of(pcm: NDArray[np.int16], hz: float, rate: int = 16_000) -> float:
    """Amplitude of the tone at `hz` in the middle of `pcm`, 0..1."""
    middle = pcm[len(pcm) // 4 : -len(pcm) // 4].astype(float) / 2**15
    return float(2 * np.abs(np.mean(middle * np.exp(-2j * np.pi * hz * np.arange(len(middle)) / rate))))


def surround(**channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """5.1 audio [6, n] with silence in the channels that are not named."""
    n = len(next(iter(channels.values())))
    return np.stack([channels.get(channel.name, np.zeros(n)) for channel in av.AudioLayout("5.1").channels])


def test_dialogue_of_surround_sound_keeps_its_level_within_three_decibels(tmp_path: Path) -> None:
    music = {"FL": 500, "FR": 700, "BL": 1100, "BR": 1300}
    rest = {name: tone(hz, level=0.25) for name, hz in music.items()}
    write(tmp_path / "5.1.mkv", surround(FC=tone(300), LFE=tone(60), **rest), "5.1")
    pcm = read_audio(tmp_path / "5.1.mkv")
    assert np.abs(pcm.astype(int)).max() < 2**15 - 1
    assert level_of(pcm, 300) == pytest.approx(0.5 * 10 ** (-3 / 20), rel=0.01)
    assert level_of(pcm, 500) == pytest.approx(0.25 / 2, rel=0.01)
    assert level_of(pcm, 1100) == pytest.approx(0.25 * 0.3536, rel=0.01)
    assert level_of(pcm, 60) < 0.001


def test_surround_at_full_scale_is_limited_and_does_not_wrap(tmp_path: Path) -> None:
    names = [channel.name for channel in av.AudioLayout("5.1").channels]
    write(tmp_path / "loud.mkv", surround(**{name: tone(300, level=1.0) for name in names}), "5.1")
    pcm = read_audio(tmp_path / "loud.mkv").astype(int)[2000:-2000]
    assert np.abs(np.diff(pcm)).max() < 20_000  # the slope of 300 Hz at 2.4 times full scale is 9,300
    assert level_of(pcm.astype(np.int16), 300) > 1.0


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_sound_that_is_the_same_in_all_channels_keeps_its_level(tmp_path: Path, layout: str) -> None:
    n = len(av.AudioLayout(layout).channels)
    write(tmp_path / "clip.mkv", np.stack([tone(300)] * n), layout)
    assert level_of(read_audio(tmp_path / "clip.mkv"), 300) == pytest.approx(0.5, rel=0.005)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 96_000])
def test_a_tone_keeps_its_frequency_and_level_at_every_rate(tmp_path: Path, rate: int) -> None:
    write(tmp_path / "clip.mkv", tone(440, rate=rate)[None], "mono", "pcm_s16le", rate)
    pcm = read_audio(tmp_path / "clip.mkv")
    assert len(pcm) == pytest.approx(16_000, abs=2)
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    assert spectrum.argmax() * 16_000 / len(pcm) == pytest.approx(440, abs=1.0)
    assert level_of(pcm, 440) == pytest.approx(0.5, rel=0.01)


def test_what_cannot_be_heard_at_16_khz_does_not_come_back_lower(tmp_path: Path) -> None:
    write(tmp_path / "clip.mkv", tone(10_000)[None], "mono")
    pcm = read_audio(tmp_path / "clip.mkv")
    assert level_of(pcm, 6000) < 0.001


@pytest.mark.parametrize(("codec", "sample"), [("pcm_u8", 1 / 128), ("pcm_s16le", 1e-4), ("pcm_f32le", 1e-4)])
def test_silence_is_silent_in_every_sample_format(tmp_path: Path, codec: str, sample: float) -> None:
    write(tmp_path / "clip.mkv", np.zeros((1, 16_000)), "mono", codec, 16_000)
    assert np.abs(read_audio(tmp_path / "clip.mkv").astype(int)).max() <= sample * 2**15


def test_sound_whose_channels_change_on_the_way_stays_in_step(tmp_path: Path) -> None:
    ts = Kind(suffix=".ts", container="mpegts", audio="ac3", options={"bf": "0"})
    first = make(tmp_path / "a.ts", ts)
    make(tmp_path / "b.ts", replace(ts, layout="5.1", video_start_s=2.0, audio_start_s=2.0))
    path = tmp_path / "clip.ts"
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    pcm = read_audio(path, require_video(probe(path)).start_s)
    for at_s in (*first.clicks_s, *(2.0 + at_s for at_s in first.clicks_s)):
        assert abs(find_click(pcm, at_s) - at_s) < 0.01
