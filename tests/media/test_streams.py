"""What a file holds: which of its streams is meant, what is damaged, what time stamps contradict each other."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from planted import Kind, find_click, is_upright, make, measure, picture, read_number

from synctalk.errors import ClipError, Reason
from synctalk.media import iter_frames, probe, read_audio, read_video
from synctalk.media.read import require_video

MKV = Kind(suffix=".mkv", container="matroska")
TS = Kind(suffix=".ts", container="mpegts")
PS = Kind(suffix=".mpg", container="mpeg", video="mpeg1video", audio="mp2", rate=44_100)
FLV = Kind(suffix=".flv", container="flv", rate=44_100)


def reason_of(call: Callable[[], object]) -> Reason:
    with pytest.raises(ClipError) as error:
        call()
    return error.value.reason


def mux_together(path: Path, *parts: tuple[Path, str, int], container: str = "matroska") -> None:
    """Streams of several files in one: (file, kind of stream, disposition) each."""
    with av.open(str(path), "w", format=container) as target:
        packets: list[Any] = []
        for source_path, kind, disposition in parts:
            with av.open(str(source_path)) as source:
                stream = target.add_stream_from_template(source.streams.best(kind))
                stream.disposition = av.stream.Disposition(disposition)
                for packet in source.demux(source.streams.best(kind)):
                    if packet.dts is not None:
                        packets.append((float(packet.dts * packet.time_base), len(packets), packet, stream))
        for _, _, packet, stream in sorted(packets, key=lambda item: item[:2]):
            packet.stream = stream
            target.mux(packet)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    make(tmp_path / "audio.m4a", Kind(container="ipod", video="", layout="mono"))
    make(tmp_path / "cover.mkv", replace(MKV, video="mjpeg", pix_fmt="yuvj420p", audio="", seconds=0.04), (0.0,))
    cover, default = int(av.stream.Disposition.attached_pic), int(av.stream.Disposition.default)
    path = tmp_path / "song.m4a"
    parts = [(tmp_path / "cover.mkv", "video", cover), (tmp_path / "audio.m4a", "audio", default)]
    mux_together(path, *parts, container="mp4")
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    info = probe(path)
    assert info.video is None
    assert info.audio is not None
    assert len(read_audio(path)) == pytest.approx(2.0 * 16_000, abs=200)
    assert reason_of(lambda: read_video(path)) == Reason.NO_VIDEO


def test_of_several_streams_the_default_ones_are_read(tmp_path: Path) -> None:
    make(tmp_path / "a.mkv", replace(MKV, size=(160, 120), rate=48_000, options={"bf": "0"}))
    make(tmp_path / "b.mkv", replace(MKV, size=(96, 64), rate=16_000, layout="mono", options={"bf": "0"}))
    a, b = tmp_path / "a.mkv", tmp_path / "b.mkv"
    default = int(av.stream.Disposition.default)
    for chosen, width, rate in ((0, 160, 48_000), (1, 96, 16_000)):
        flags = [default if number == chosen else 0 for number in range(2)]
        path = tmp_path / f"{chosen}.mkv"
        parts = [(file, kind, flag) for kind in ("video", "audio") for file, flag in zip((a, b), flags, strict=True)]
        mux_together(path, *parts)
        info = probe(path)
        assert info.audio is not None
        assert (require_video(info).width, info.audio.sample_rate) == (width, rate)
        assert read_video(path, info).frames.shape[2] == width
        assert [read_number(image) for image in iter_frames(path, np.arange(50))] == list(range(50))


def test_start_times_leave_out_what_is_not_heard(tmp_path: Path) -> None:
    make(tmp_path / "clip.mp4", Kind(rate=44_100))
    audio = probe(tmp_path / "clip.mp4").audio
    assert audio is not None
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stamps = [packet.pts for packet in container.demux(audio=0) if packet.pts is not None]
    assert stamps[0] == -1024  # the encoder's priming samples
    assert audio.start_s == pytest.approx(0.0, abs=1e-6)
    assert audio.duration_s == pytest.approx(2.0, abs=0.001)


@pytest.mark.parametrize("interlaced", [False, True])
def test_interlaced_pictures_are_named(tmp_path: Path, interlaced: bool) -> None:
    kind = replace(TS, video="mpeg2video", audio="mp2", options={"flags": "+ildct+ilme"} if interlaced else {})
    make(tmp_path / "clip.ts", kind)
    assert require_video(probe(tmp_path / "clip.ts")).interlaced == interlaced


@pytest.mark.parametrize("kind", [TS, PS, FLV], ids=["ts", "ps", "flv"])
@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_a_recording_that_breaks_off_is_shorter_and_in_step(tmp_path: Path, kind: Kind, kept: float) -> None:
    path = tmp_path / f"clip{kind.suffix}"
    planted = make(path, kind)
    blob = path.read_bytes()
    path.write_bytes(blob[: int(kept * len(blob))])
    info = probe(path)
    stream = require_video(info)
    numbers = [read_number(image) for image in iter_frames(path, np.arange(stream.n_frames), stream)]
    assert numbers[:-3] == list(range(len(numbers) - 3))  # the last ones may lack pieces
    pcm = read_audio(path, stream.start_s)
    assert abs(find_click(pcm, planted.clicks_s[0]) - planted.clicks_s[0]) < 0.01


def test_a_recording_that_is_joined_midway_begins_with_its_first_key_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    planted = make(path, replace(TS, options={"g": "12", "sc_threshold": "0"}, seconds=3.0))
    blob = path.read_bytes()
    path.write_bytes(blob[int(0.3 * len(blob)) :])
    stream = require_video(probe(path))
    numbers = [read_number(image) for image in iter_frames(path, np.arange(stream.n_frames), stream)]
    assert numbers[0] > 0
    assert numbers[0] % 12 == 0
    assert numbers == list(range(numbers[0], 75))
    at_s = planted.clicks_s[-1] - planted.times_s[numbers[0]]
    assert abs(find_click(read_audio(path, stream.start_s), at_s) - at_s) < 0.01


@pytest.mark.parametrize("kind", [TS, PS], ids=["ts", "ps"])
def test_files_joined_end_to_end_are_refused_for_their_time_stamps(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / f"clip{kind.suffix}"
    make(path, kind)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(ClipError, match="time stamps jump back") as error:
        probe(path)
    assert error.value.reason == Reason.UNDECODABLE
    with pytest.raises(ClipError, match="audio: time stamps jump back"):
        read_audio(path)


def test_a_transport_stream_whose_clock_wraps_is_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    planted = make(path, replace(TS, mux={"output_ts_offset": "95442.5"}))  # 2^33 ticks of 1/90000 s are 95443.7 s
    found = measure(path, planted)
    assert found.numbers == list(range(50))
    assert abs(found.click_s) < 0.01


def test_pictures_do_not_move_where_some_are_missing(tmp_path: Path) -> None:
    times_s = (*(n / 25 for n in range(15)), *(n / 25 for n in range(27, 50)))
    planted = make(tmp_path / "clip.mkv", replace(MKV, times_s=times_s))
    found = measure(tmp_path / "clip.mkv", planted)
    # for half of the hole the frame before it, then the one behind it
    assert found.chosen == [*range(15), *[14] * 6, *[15] * 6, *range(15, 38)]
    assert abs(found.click_s) < 0.01


def test_broken_time_stamps_do_not_become_hours_of_silence(tmp_path: Path) -> None:
    make(tmp_path / "far.mkv", replace(MKV, audio="pcm_s16le", jitter_s=(*[0.0] * 40, *[90_000.0] * 100)))
    with pytest.raises(ClipError, match=r"no audio for 9\d{4} s") as error:
        read_audio(tmp_path / "far.mkv")
    assert error.value.reason == Reason.UNDECODABLE
    times_s = (*(n / 25 for n in range(40)), *(90_000 + n / 25 for n in range(10)))
    make(tmp_path / "still.mkv", replace(MKV, audio="", times_s=times_s))
    with pytest.raises(ClipError, match="no picture for 89998 s after"):
        probe(tmp_path / "still.mkv")


def test_a_stream_that_no_decoder_is_there_for_says_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path, Kind())
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xyz1"))
    with pytest.raises(ClipError, match="no decoder for its video stream") as error:
        probe(path)
    assert error.value.reason == Reason.UNDECODABLE


def test_damage_inside_of_the_sound_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path, Kind())
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(audio=0) if packet.size > 100]
    blob = bytearray(path.read_bytes())
    for place in places[20:24]:
        blob[place : place + 60] = b"\xff" * 60
    path.write_bytes(bytes(blob))
    assert reason_of(lambda: read_audio(path)) == Reason.UNDECODABLE


def test_pictures_that_change_their_size_are_scaled_to_the_first(tmp_path: Path) -> None:
    # two MPEG transport streams whose time stamps follow each other, as an adaptive recorder writes them
    make(tmp_path / "a.ts", replace(TS, seconds=1.0, audio="", options={"bf": "0"}), (0.31,))
    make(
        tmp_path / "b.ts",
        replace(TS, seconds=1.0, audio="", video_start_s=1.0, size=(320, 240), options={"bf": "0"}),
        (0.31,),
    )
    path = tmp_path / "clip.ts"
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    video = read_video(path)
    assert video.frames.shape == (50, 120, 160, 3)
    assert [read_number(image) for image in video.frames] == [*range(25), *range(25)]


def test_streams_without_a_single_packet_are_not_there(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mp4"), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(picture(number, False, 160, 120), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    info = probe(tmp_path / "clip.mp4")
    assert info.audio is None
    assert require_video(info).n_frames == 10
    assert reason_of(lambda: read_audio(tmp_path / "clip.mp4")) == Reason.NO_AUDIO


def edit(path: Path, entries: list[tuple[int, int]]) -> None:
    """Give the video track of an MP4, whose index stands behind the data, another edit list: (duration in
    milliseconds, media time in ticks) each.
    """
    blob = bytearray(path.read_bytes())
    at = blob.index(b"elst") - 4
    old = int.from_bytes(blob[at : at + 4], "big")
    rows = b"".join(d.to_bytes(4, "big") + t.to_bytes(4, "big", signed=True) + b"\0\1\0\0" for d, t in entries)
    body = b"elst\0\0\0\0" + len(entries).to_bytes(4, "big") + rows
    new = (len(body) + 4).to_bytes(4, "big") + body
    for box in (b"moov", b"trak", b"edts"):
        head = blob.rindex(box, 0, at) - 4
        size = int.from_bytes(blob[head : head + 4], "big") + len(new) - old
        blob[head : head + 4] = size.to_bytes(4, "big")
    blob[at : at + old] = new
    path.write_bytes(bytes(blob))


def test_an_edit_list_that_cuts_a_piece_out_shows_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path, Kind(audio="", options={"bf": "0", "g": "50"}))
    with av.open(str(path)) as container:
        tick = container.streams.video[0].time_base
    assert tick is not None
    per_frame = int(Fraction(1, 25) / tick)
    edit(path, [(400, 0), (800, 30 * per_frame)])  # frames 0 to 9, then 30 to 49
    stream = require_video(probe(path))
    numbers = [read_number(image) for image in iter_frames(path, np.arange(stream.n_frames), stream)]
    assert numbers == [*range(10), *range(30, 50)]
    np.testing.assert_allclose(stream.pts_s, np.arange(30) / 25, atol=0.001)
    assert [read_number(image) for image in iter_frames(path, np.array([12, 25]), stream)] == [32, 45]


def test_memory_of_decoding_does_not_grow_with_length(tmp_path: Path) -> None:
    kind = Kind(size=(160, 120), layout="mono", options={"preset": "ultrafast", "g": "50"})
    peaks = []
    for seconds in (4.0, 40.0):
        path = tmp_path / f"{seconds}.mp4"
        make(path, replace(kind, seconds=seconds))
        stream = require_video(probe(path))
        tracemalloc.start()
        assert sum(1 for _ in iter_frames(path, np.arange(stream.n_frames), stream)) == seconds * 25
        assert len(read_audio(path, start_s=seconds - 1, stop_s=seconds)) == 16_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300_000  # a minute of audio is 1.9 MB, a second of these pictures 1.4 MB


def test_only_the_wanted_stretch_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synctalk.media import read

    path = tmp_path / "clip.mp4"
    make(path, Kind(seconds=8.0, options={"g": "25", "sc_threshold": "0"}, audio=""))
    decoded = []
    plain = read._decode_from

    def counted(*given: Any) -> Any:
        for number, frame in plain(*given):
            decoded.append(number)
            yield number, frame

    monkeypatch.setattr(read, "_decode_from", counted)
    video = read_video(path, span=slice(130, 140))
    assert [read_number(image) for image in video.frames] == list(range(130, 140))
    assert decoded == list(range(125, 140))


def test_a_phone_video_is_upright_in_a_stretch_too(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path, Kind(rotation=90, size=(120, 160), options={"g": "12"}))
    assert all(is_upright(image) for image in read_video(path, span=slice(30, 34)).frames)
