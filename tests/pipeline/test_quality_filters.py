"""Every filter by construction: a file that breaks one rule is dropped for that reason, its neighbour is kept."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from indexed import indexed

from synctalk.errors import ClipError, Reason
from synctalk.faces.extract import CropParams, crop_clip
from synctalk.faces.quality import check_frame_count, check_loudness, check_motion
from synctalk.faces.track import Detection
from synctalk.media import probe, read_video, write_video
from synctalk.media.truncation import promised_bytes
from synctalk.media.write import write_audio
from synctalk.params.read import load
from synctalk.timebase import FPS, SAMPLE_RATE, n_samples

PARAMS = load("crop", CropParams, Path(__file__).parents[2] / "params.yaml")
PARAMS = replace(PARAMS, track=replace(PARAMS.track, detect_every=1, smooth_frames=1))
LIMITS = PARAMS.quality
FACE = 64
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)


def squares(frame: np.ndarray) -> list[Detection]:
    """The bright squares that `scene` draws."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((frame[..., 0] > 120).astype(np.uint8))
    found = []
    for x, y, width, height, _ in stats[1:]:
        box = np.array([x, y, x + width, y + height], np.float32)
        found.append(Detection(box, box[:2] + POINTS * (box[2:] - box[:2]), 0.9))
    return found


class SquareDetector:
    """A detector of bright squares."""

    min_score = 0.5

    def __call__(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [squares(frame) for frame in frames]


def scene(
    n_frames: int, faces: Callable[[int], tuple[int, ...]] = lambda t: (10,), *, still: bool = False, side: int = FACE
) -> list[np.ndarray]:
    """Frames 160 x 200 with brighter squares at the columns `faces(t)`, whose mouths open and close.

    The contrast is low enough that a face which comes or goes is no shot change.
    """
    frames = []
    for t in range(n_frames):
        frame = np.full((160, 200, 3), 70, np.uint8)
        for x in faces(t):
            frame[40 : 40 + side, x : x + side] = 150
            opening = 1 if still else 1 + t % 5
            frame[40 + side * 3 // 4 :, x + side // 3 : x + side * 2 // 3][: 2 * opening] = 100
        frames.append(frame)
    return frames


def speech(n_frames: int, loudness: float = 3000.0) -> np.ndarray:
    return np.random.default_rng(0).normal(0, loudness, n_samples(n_frames)).clip(-32768, 32767).astype(np.int16)


def write_exact(path: Path, frames: list[np.ndarray], pcm: np.ndarray | None) -> None:
    """Matroska with every pixel and sample as given."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("libx264rgb", rate=FPS, options={"qp": "0", "bf": "0"})
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], "rgb24"
        audio = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") if pcm is not None else None
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            sound = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))


def fate(root: Path, params: CropParams = PARAMS) -> tuple[str, str] | None:
    """What becomes of the one clip in `root`: None where it is kept, else the reason and its detail."""
    index = indexed("folder", root)
    if index.rejected:
        assert not index.clips
        return index.rejected[0].reason.value, index.rejected[0].detail
    (clip,) = index.clips
    try:
        crop_clip(root, clip, params, SquareDetector(), ("faces", "mouth"))
    except ClipError as error:
        return error.reason.value, error.detail
    return None


def with_quality(**limits: float) -> CropParams:
    return replace(PARAMS, quality=replace(LIMITS, **limits))


def test_an_ordinary_clip_passes_every_filter(tmp_path: Path) -> None:
    write_exact(tmp_path / "clip.mkv", scene(30), speech(30))
    assert fate(tmp_path) is None


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [(14, ("too_short", "0.56 s, at least 0.6 s are needed")), (15, None)],
)
def test_short_clips(tmp_path: Path, n_frames: int, expected: object) -> None:
    write_exact(tmp_path / "clip.mkv", scene(n_frames), speech(n_frames))
    assert fate(tmp_path) == expected


@pytest.mark.parametrize(("n_frames", "expected"), [(25, None), (26, ("too_long", "1.04 s, at most 1.0 s are taken"))])
def test_long_clips(tmp_path: Path, n_frames: int, expected: object) -> None:
    write_exact(tmp_path / "clip.mkv", scene(n_frames), speech(n_frames))
    assert fate(tmp_path, with_quality(max_s=1.0)) == expected


@pytest.mark.parametrize(("side", "expected"), [(47, "no_face"), (48, None)])
def test_faces_that_are_too_small_are_no_faces(tmp_path: Path, side: int, expected: str | None) -> None:
    write_exact(tmp_path / "clip.mkv", scene(30, side=side), speech(30))
    found = fate(tmp_path)
    assert (found and found[0]) == expected
    assert found is None or "48 px" in found[1]


def test_an_empty_scene_has_no_face(tmp_path: Path) -> None:
    write_exact(tmp_path / "clip.mkv", scene(30, lambda t: ()), speech(30))
    found = fate(tmp_path)
    assert found is not None
    assert found[0] == "no_face"


@pytest.mark.parametrize(("n_lost", "expected"), [(9, None), (10, "face_lost")])
def test_a_face_that_is_lost_for_longer_than_the_limit(tmp_path: Path, n_lost: int, expected: str | None) -> None:
    # 0.4 s from the last frame with a face to the next are 10 frames: 9 without one lie between them
    write_exact(tmp_path / "clip.mkv", scene(50, lambda t: () if 30 <= t < 30 + n_lost else (10,)), speech(50))
    found = fate(tmp_path)
    assert (found and found[0]) == expected


@pytest.mark.parametrize(("n_together", "expected"), [(14, None), (15, "several_faces")])
def test_a_second_face_counts_when_it_is_there_for_half_the_time(
    tmp_path: Path, n_together: int, expected: str | None
) -> None:
    write_exact(tmp_path / "clip.mkv", scene(30, lambda t: (10, 120) if t < n_together else (10,)), speech(30))
    found = fate(tmp_path)
    assert (found and found[0]) == expected
    assert found is None or found[1] == "2 faces at the same time"


def test_a_still_mouth_is_frozen(tmp_path: Path) -> None:
    write_exact(tmp_path / "clip.mkv", scene(30, still=True), speech(30))
    assert fate(tmp_path) == ("frozen_face", "mouth changes by 0.00 grey levels a frame, 0.3 are needed")


@pytest.mark.parametrize(("n_changing", "frozen"), [(30, False), (29, True)])
def test_motion_at_the_limit(n_changing: int, frozen: bool) -> None:
    mouths = np.full((5, 10, 10), 100, np.uint8)
    mouths[1::2].reshape(2, -1)[:, :n_changing] += 1  # by one level, back and forth
    reason = None
    try:
        check_motion(mouths, LIMITS)
    except ClipError as error:
        reason = error.reason
    assert reason == (Reason.FROZEN_FACE if frozen else None)


def test_a_clip_without_sound(tmp_path: Path) -> None:
    write_exact(tmp_path / "clip.mkv", scene(30), None)
    found = fate(tmp_path)
    assert found is not None
    assert found[0] == "no_audio"


# 32.77 of 32768 are -60 dB
@pytest.mark.parametrize(
    ("level", "expected"),
    [(33, None), (32, ("silent_audio", "-60.21 dB of full scale, at least -60.0 dB are needed"))],
)
def test_quiet_sound(tmp_path: Path, level: int, expected: object) -> None:
    pcm = np.where(np.arange(n_samples(30)) // 40 % 2, level, -level).astype(np.int16)
    write_exact(tmp_path / "clip.mkv", scene(30), pcm)
    assert fate(tmp_path) == expected


def test_digital_silence_is_infinitely_quiet() -> None:
    with pytest.raises(ClipError, match="-inf dB"):
        check_loudness(np.zeros(n_samples(30), np.int16), LIMITS)


@pytest.mark.parametrize(("n_sound", "expected"), [(40, None), (39, "0.44"), (60, None), (61, "0.44")])
def test_sound_and_picture_of_unequal_length(tmp_path: Path, n_sound: int, expected: str | None) -> None:
    write_exact(tmp_path / "clip.mkv", scene(50), speech(n_sound))
    found = fate(tmp_path)
    if expected is None:
        assert found is None
    else:
        assert found == ("length_mismatch", f"audio and video differ by {expected} s, at most 0.4 s are taken")


def test_a_file_of_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    assert fate(tmp_path) == ("empty_file", "clip.mp4 has zero bytes")


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    found = fate(tmp_path)
    assert found is not None
    assert found[0] == "undecodable"


def index_behind(path: Path, frames: list[np.ndarray], pcm: np.ndarray) -> None:
    """An MP4 as cameras write it: its index behind the data."""
    write_video(path.with_name("front.mp4"), frames, audio=pcm)
    with av.open(str(path.with_name("front.mp4"))) as source, av.open(str(path), "w", format="mp4") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    path.with_name("front.mp4").unlink()


def index_in_front(path: Path, frames: list[np.ndarray], pcm: np.ndarray) -> None:
    write_video(path, frames, audio=pcm)


CONTAINERS = {"front.mp4": index_in_front, "behind.mp4": index_behind, "clip.mkv": write_exact}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("missing", [0, 1, 0.5])
def test_files_that_are_cut_off(tmp_path: Path, name: str, missing: float) -> None:
    path = tmp_path / name
    CONTAINERS[name](path, scene(30), speech(30))
    blob = path.read_bytes()
    assert promised_bytes(path) == len(blob)
    kept = len(blob) - int(missing if missing >= 1 else missing * len(blob))
    path.write_bytes(blob[:kept])
    # half of a file no longer holds the index behind, and promises the data in front of it only
    found = fate(tmp_path)
    if missing == 0:
        assert found is None
    else:
        assert found is not None
        assert found[0] == "truncated"
        assert found[1].startswith(f"{name} has {kept} bytes of ")


def test_what_stands_behind_a_whole_file_does_no_harm(tmp_path: Path) -> None:
    for name, make in CONTAINERS.items():
        folder = tmp_path / name
        folder.mkdir()
        make(folder / name, scene(30), speech(30))
        with (folder / name).open("ab") as file:
            file.write(b"left behind by a copy that was longer")
        assert fate(folder) is None, name


def test_a_sound_file_that_is_cut_off(tmp_path: Path) -> None:
    for name in ("sound.wav", "sound.m4a"):
        path = tmp_path / name
        write_audio(path, speech(30))
        blob = path.read_bytes()
        assert promised_bytes(path) == len(blob)
        path.write_bytes(blob[:-2])
        with pytest.raises(ClipError) as error:
            probe(path)
        assert error.value.reason == Reason.TRUNCATED


@pytest.mark.parametrize("head", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x80\x18", b"\0\0\0\1ftypmp42"])
def test_headers_that_say_nothing_promise_nothing(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "odd").write_bytes(head)
    assert promised_bytes(tmp_path / "odd") is None


def without_first_key_frame(path: Path, n_frames: int, n_lost: int) -> None:
    """A video that begins with `n_lost` frames which need a key frame that is gone: promised, and never decoded."""
    whole = path.with_name("whole.mp4")
    write_video(whole, scene(n_frames + 1), audio=speech(n_frames), gop=n_lost + 1, preset="ultrafast")
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None and not (packet.stream.type == "video" and packet.pts == 0):
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    whole.unlink()


@pytest.mark.parametrize("n_lost", [0, 1, 5])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_frames_that_decode_to_nothing(tmp_path: Path, name: str, n_lost: int) -> None:
    without_first_key_frame(tmp_path / name, 40, n_lost)
    detail = f"{n_lost} frames are promised and not there, at most 1 may be missing"
    assert fate(tmp_path) == (("over_reported_frames", detail) if n_lost > 1 else None)


def avi_that_promises(path: Path, n_frames: int, n_promised: int) -> None:
    with av.open(str(path), "w", format="avi") as container:
        video = container.add_stream("mpeg4", rate=FPS, options={"qscale": "2"})
        video.width, video.height, video.pix_fmt = 200, 160, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for image in scene(n_frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(speech(n_frames)[None], format="s16", layout="mono")
        sound.sample_rate = SAMPLE_RATE
        container.mux(audio.encode(sound))
    blob = bytearray(path.read_bytes())
    length = blob.index(b"vids") + 32  # dwLength of the video's stream header
    assert struct.unpack_from("<I", blob, length) == (n_frames,)
    struct.pack_into("<I", blob, length, n_promised)
    path.write_bytes(bytes(blob))


@pytest.mark.parametrize("beyond", [0, 1, 2, 50])
def test_a_header_that_promises_more_frames_than_the_file_has(tmp_path: Path, beyond: int) -> None:
    avi_that_promises(tmp_path / "clip.avi", 30, 30 + beyond)
    detail = f"{beyond} frames are promised and not there, at most 1 may be missing"
    assert fate(tmp_path) == (("over_reported_frames", detail) if beyond > 1 else None)


def test_an_edit_list_that_hides_frames_promises_no_others(tmp_path: Path) -> None:
    write_video(tmp_path / "whole.mp4", scene(50), gop=50)
    with av.open(str(tmp_path / "whole.mp4")) as source, av.open(str(tmp_path / "cut.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                # a second earlier: an edit list hides what comes before time 0
                packet.pts -= source.streams.video[0].duration // 2
                packet.dts -= source.streams.video[0].duration // 2
                packet.stream = stream
                target.mux(packet)
    video = probe(tmp_path / "cut.mp4").video
    assert video is not None
    assert video.n_frames < 50
    check_frame_count(video.n_missing, LIMITS)
    assert len(read_video(tmp_path / "cut.mp4").frames) == video.n_frames
