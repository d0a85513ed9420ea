"""Every ordinary kind of footage: what was planted at one moment is decoded at one moment, within 10 ms."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from planted import Kind, find_click, make, measure, nearest

from synctalk.media import iter_frames, probe, read_audio, read_video
from synctalk.media.read import require_video

LIMIT_S = 0.010
ROUNDING_S = 0.0011
"""Matroska and FLV count milliseconds."""

_STEPS = np.random.default_rng(3).choice([1 / 30, 2 / 30, 0.021, 0.1], 40)
UNEVEN_S = tuple((np.cumsum(_STEPS) - _STEPS[0]).tolist())

MP4 = Kind()
MKV = Kind(suffix=".mkv", container="matroska")
TS = Kind(suffix=".ts", container="mpegts")
PS = Kind(suffix=".mpg", container="mpeg", video="mpeg1video", audio="mp2", rate=44_100)
VOB = Kind(suffix=".vob", container="vob", video="mpeg2video", audio="ac3", options={"bf": "2", "g": "12"})
AVI = Kind(suffix=".avi", container="avi", audio="pcm_s16le")
MOV = Kind(suffix=".mov", container="mov", audio="pcm_s16le")
WEBM = Kind(suffix=".webm", container="webm", video="libvpx-vp9", audio="libopus", options={"cpu-used": "8", "g": "12"})
HEVC = Kind(video="libx265", options={"x265-params": "log-level=none:keyint=12:open-gop=1:pools=none:frame-threads=1"})
OPEN_GOP = {"x264-params": "open-gop=1:b-adapt=0:bframes=3:keyint=12"}
NEGATIVE = {"avoid_negative_ts": "disabled"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov"}
NTSC = Fraction(30_000, 1001)

GROUPS = {
    "frame rates": {
        "25 fps": MP4,
        "23.976 fps": replace(MP4, fps=Fraction(24_000, 1001)),
        "29.97 fps": replace(MP4, fps=NTSC),
        "30 fps": replace(MP4, fps=Fraction(30)),
        "50 fps": replace(MP4, fps=Fraction(50)),
        "60 fps": replace(MP4, fps=Fraction(60)),
        "15 fps": replace(MP4, fps=Fraction(15)),
        "29.97 fps in mkv": replace(MKV, fps=NTSC),
        "variable rate": replace(MP4, times_s=UNEVEN_S, seconds=UNEVEN_S[-1]),
        "variable rate in mkv": replace(MKV, times_s=UNEVEN_S, seconds=UNEVEN_S[-1]),
    },
    "where streams start": {
        "video 0.84 s late": replace(MP4, video_start_s=0.84),
        "video 0.84 s late in mkv": replace(MKV, video_start_s=0.84),
        "video 0.84 s late in ts": replace(TS, video_start_s=0.84),
        "video 0.84 s late in ps": replace(PS, video_start_s=0.84),
        "video 0.84 s late in webm": replace(WEBM, video_start_s=0.84),
        "video 0.84 s late in fragments": replace(MP4, video_start_s=0.84, mux=FRAGMENTS),
        "audio 0.25 s late": replace(MP4, audio_start_s=0.25),
        "audio 0.25 s late in ts": replace(TS, audio_start_s=0.25),
        "both late": replace(MP4, video_start_s=5.13, audio_start_s=5.0),
        "audio starts before zero": replace(MP4, audio_start_s=-0.15, mux=NEGATIVE),
        "fragments": replace(MP4, mux=FRAGMENTS),
    },
    "how pictures are coded": {
        "b-frames": replace(MP4, options={"bf": "3", "g": "20", "b-adapt": "0"}),
        "open gop": replace(MP4, options=OPEN_GOP),
        "open gop in ts": replace(TS, options=OPEN_GOP),
        "intra refresh": replace(MP4, options={"x264-params": "intra-refresh=1:keyint=10"}),
        "h264 10 bit": replace(MP4, pix_fmt="yuv420p10le"),
        "h264 4:2:2": replace(MP4, pix_fmt="yuv422p"),
        "hevc open gop": HEVC,
        "hevc in ts": replace(TS, video=HEVC.video, options=HEVC.options),
        "hevc 10 bit": replace(HEVC, pix_fmt="yuv420p10le"),
        "vp9 webm": WEBM,
        "vp8 with hidden frames": replace(
            WEBM, video="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "10", "g": "12", "cpu-used": "4"}
        ),
        "av1": replace(MP4, video="libsvtav1", options={"preset": "8"}, seconds=1.7),
        "mpeg1 ps": PS,
        "mpeg1 ps 29.97 fps": replace(PS, fps=NTSC),
        "mpeg1 ps b-frames": replace(PS, options={"bf": "2", "g": "12"}),
        "mpeg2 vob": VOB,
        "mpeg2 ts interlaced": replace(TS, video="mpeg2video", audio="mp2", options={"flags": "+ildct+ilme"}),
        "ts 50 fps": replace(TS, fps=Fraction(50)),
        "avi h264": replace(AVI, options={"bf": "2"}),
        "avi mpeg4 b-frames": replace(AVI, video="mpeg4", options={"bf": "2"}),
        "avi mjpeg": replace(AVI, video="mjpeg", pix_fmt="yuvj420p", audio="pcm_u8", rate=8000, layout="mono"),
        "flv": replace(MP4, suffix=".flv", container="flv", rate=44_100),
        "prores mov": replace(MOV, video="prores", pix_fmt="yuv422p10le", audio="pcm_s24le"),
        "3gp": replace(MP4, suffix=".3gp", container="3gp", video="mpeg4", rate=8000, layout="mono"),
    },
    "how pictures stand": {
        "phone 90": replace(MP4, rotation=90, size=(120, 160)),
        "phone 180": replace(MP4, rotation=180),
        "phone 270": replace(MP4, rotation=270, size=(120, 160)),
        "phone mirrored": replace(MP4, mirrored=True),
        "phone mirrored and turned": replace(MP4, mirrored=True, rotation=90, size=(120, 160)),
        "phone 90 hevc mov": replace(HEVC, suffix=".mov", container="mov", rotation=-90, size=(120, 160)),
        "phone 90 in mkv": replace(MKV, rotation=90, size=(120, 160)),
        "portrait": replace(MP4, size=(120, 214)),
        "48 wide": replace(MP4, size=(48, 64)),
        "odd size": replace(MP4, size=(321, 241), pix_fmt="yuv444p"),
        "odd size vp9": replace(WEBM, size=(321, 241)),
        "wide pixels": replace(MP4, aspect=Fraction(4, 3)),
    },
    "audio": {
        "mono 16 kHz": replace(MP4, rate=16_000, layout="mono"),
        "8 kHz": replace(MP4, rate=8000, layout="mono"),
        "22.05 kHz": replace(MP4, rate=22_050),
        "44.1 kHz": replace(MP4, rate=44_100),
        "96 kHz": replace(MP4, rate=96_000),
        "5.1": replace(MP4, layout="5.1"),
        "5.1 ac3 in ts": replace(TS, audio="ac3", layout="5.1"),
        "7.1 flac": replace(MKV, audio="flac", layout="7.1"),
        "7.1 aac": replace(MP4, layout="7.1"),
        "quad": replace(MP4, layout="4.0"),
        "float pcm": replace(MKV, audio="pcm_f32le"),
        "u8 pcm": replace(MKV, audio="pcm_u8", rate=8000, layout="mono"),
        "alac": replace(MP4, audio="alac"),
        "mp3": replace(MP4, audio="libmp3lame"),
        "opus": replace(MP4, audio="libopus"),
        "vorbis": replace(MKV, audio="vorbis"),
        "audio ends early": replace(MP4, audio_s=1.7),
        "audio ends late": replace(MP4, audio_s=4.0),
    },
    "packets lost, time stamps unsteady": {
        "hole": replace(MP4, hole_s=(1.05, 1.3)),
        "hole of one packet": replace(MP4, hole_s=(1.05, 1.07)),
        "hole at the beginning": replace(MP4, hole_s=(-1.0, 0.25)),
        "hole in mkv": replace(MKV, hole_s=(1.05, 1.3)),
        "hole in ts": replace(TS, hole_s=(1.05, 1.3)),
        "hole in ps": replace(PS, hole_s=(1.05, 1.3)),
        "hole in pcm": replace(MKV, audio="pcm_s16le", hole_s=(1.05, 1.3)),
        "hole in opus": replace(WEBM, hole_s=(1.05, 1.3)),
        "hole in 5.1": replace(MP4, layout="5.1", hole_s=(1.05, 1.3)),
        "unsteady stamps": replace(MKV, audio="pcm_s16le", jitter_s=(0, 0.004, -0.003, 0.002, 0, -0.004)),
        "unsteady stamps by 9 ms": replace(MKV, audio="pcm_s16le", jitter_s=(0, 0, 0, 0.009, 0, 0, 0, -0.009)),
    },
}
KINDS = {name: kind for group in GROUPS.values() for name, kind in group.items()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_flash_and_click_are_decoded_at_the_moment_they_were_planted_at(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / f"clip{kind.suffix}"
    planted = make(path, kind)
    found = measure(path, planted)
    assert found.numbers == list(range(len(planted.times_s)))
    assert found.picture_s < ROUNDING_S
    assert abs(found.click_s) < LIMIT_S
    wanted = nearest(planted.times_s, len(found.chosen))
    assert [number for number, best in zip(found.chosen, wanted, strict=True) if number not in best] == []
    info = probe(path)
    stream = require_video(info)
    assert (stream.width, stream.height) == kind.size
    assert stream.pixel_aspect == kind.aspect
    assert len(found.chosen) == pytest.approx((planted.times_s[-1] + stream.frame_s) * 25, abs=0.51)


def test_pictures_that_an_edit_list_hides_are_neither_counted_nor_shown(tmp_path: Path) -> None:
    kind = replace(MP4, video_start_s=-0.2, audio_start_s=-0.2, mux=NEGATIVE)
    planted = make(tmp_path / "clip.mp4", kind)
    found = measure(tmp_path / "clip.mp4", planted)
    assert found.numbers == list(range(5, 50))
    assert found.chosen == found.numbers
    assert abs(found.click_s) < LIMIT_S


@pytest.mark.parametrize("suffix", [".m4a", ".wav", ".mp3", ".opus", ".flac"])
def test_sound_in_a_file_of_its_own_starts_with_the_video(tmp_path: Path, suffix: str) -> None:
    codecs = {
        ".m4a": ("ipod", "aac"),
        ".wav": ("wav", "pcm_s16le"),
        ".mp3": ("mp3", "libmp3lame"),
        ".opus": ("ogg", "libopus"),
        ".flac": ("flac", "flac"),
    }
    container, codec = codecs[suffix]
    planted = make(tmp_path / "clip.mp4", replace(MP4, audio=""))
    make(tmp_path / f"audio{suffix}", Kind(container=container, video="", audio=codec, layout="mono"))
    found = measure(tmp_path / "clip.mp4", planted, tmp_path / f"audio{suffix}")
    assert abs(found.click_s) < LIMIT_S


def test_a_minute_at_29_97_fps_and_44_1_khz_does_not_drift(tmp_path: Path) -> None:
    kind = replace(MP4, fps=NTSC, rate=44_100, layout="mono", seconds=60.0, options={"preset": "ultrafast"})
    flashes_s = (0.31, 30.03, 59.71)
    path = tmp_path / "clip.mp4"
    planted = make(path, kind, flashes_s)
    stream = require_video(probe(path))
    pcm = read_audio(path, stream.start_s)
    for number, at_s in zip(planted.flashes, planted.clicks_s, strict=True):
        assert abs(find_click(pcm, at_s) - (stream.pts_s[number] - stream.start_s)) < LIMIT_S
    assert len(pcm) == pytest.approx(60 * 16_000, abs=1700)


SEEKS = {
    "b-frames": replace(MP4, options={"bf": "3", "g": "12", "b-adapt": "0"}),
    **{
        name: KINDS[name]
        for name in ("open gop", "intra refresh", "hevc open gop", "vp9 webm", "mpeg2 vob", "mpeg1 ps")
    },
    "open gop in mkv": replace(MKV, options=OPEN_GOP),
    "vp8 with hidden frames": KINDS["vp8 with hidden frames"],
    "mpeg4": replace(MP4, video="mpeg4", options={"bf": "2", "g": "12"}),
    "mpeg2": replace(MP4, video="mpeg2video", options={"bf": "2", "g": "12"}),
    "fragments": replace(MP4, options={"g": "12"}, mux=FRAGMENTS),
    "edit list": replace(MP4, video_start_s=-0.2, audio_start_s=-0.2, mux=NEGATIVE, options={"g": "12"}),
    "variable rate": replace(KINDS["variable rate"], options={"g": "12"}),
    "phone": replace(MP4, rotation=90, size=(120, 160), options={"g": "12"}),
}


@pytest.mark.parametrize("kind", SEEKS.values(), ids=SEEKS)
def test_frames_from_the_middle_are_those_of_decoding_in_order(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / f"clip{kind.suffix}"
    make(path, kind)
    stream = require_video(probe(path))
    whole = list(iter_frames(path, np.arange(stream.n_frames), stream))
    for first in range(1, stream.n_frames - 2, 5):
        for number, image in zip(
            (first, first, first + 2), iter_frames(path, np.array([first, first, first + 2])), strict=True
        ):
            np.testing.assert_array_equal(image, whole[number])


def test_a_stretch_is_a_slice_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path, replace(MP4, fps=NTSC, rate=44_100, video_start_s=0.84, hole_s=(1.5, 1.7), options={"g": "12"}))
    info = probe(path)
    origin_s = require_video(info).start_s
    video, pcm = read_video(path, info), read_audio(path, origin_s)
    for start, stop in ((0, 7), (11, 30), (33, None), (0, None)):
        part = read_video(path, info, slice(start, stop))
        np.testing.assert_array_equal(part.frames, video.frames[start:stop])
        np.testing.assert_array_equal(part.source_index, video.source_index[start:stop])
        audio = read_audio(path, origin_s, start_s=start / 25, stop_s=None if stop is None else stop / 25)
        np.testing.assert_array_equal(audio, pcm[640 * start : None if stop is None else 640 * stop])
    assert len(read_audio(path, origin_s, start_s=99.0)) == 0
