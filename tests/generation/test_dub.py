"""Dubbing real footage with an untrained generator: what must stay, stays; bad input is one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
import torch
from small_disk import small_disk
from training.tiny import ENCODER, GENERATOR

from synctalk.checkpoints.load import save
from synctalk.checkpoints.typed import load_generator
from synctalk.cli.app import main
from synctalk.faces.crop import whole_boxes
from synctalk.faces.detect import Detector, DetectorParams, make_detector
from synctalk.generation.audio import encode_long_audio
from synctalk.generation.dub import dub
from synctalk.generation.fit import Fit
from synctalk.generation.output import GENERATED, OUTPUT_RATE, even_sides
from synctalk.generation.people import Who
from synctalk.generation.shots import SampledFaces, chosen_tracks, sample_faces, shot_people
from synctalk.media import probe, read_audio, read_video, write_audio, write_video
from synctalk.media.probe import VideoStream
from synctalk.models.generator import Wav2LipConfig, Wav2LipGenerator
from synctalk.models.synctalklip import SyncTalklip

CRF = 14.0


@dataclass(frozen=True)
class Kit:
    """Clips, detector weights, and an untrained generator in its file and in memory."""

    clips: Path
    weights: dict[str, Path]
    model_file: Path
    model: SyncTalklip
    detector: Detector


@pytest.fixture(scope="module")
def kit(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    torch.manual_seed(0)
    model = SyncTalklip(GENERATOR, ENCODER).eval()
    model_file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save(model, model_file)
    models = shared / "models"
    weights = {"yunet": models / "face_detection_yunet_2023mar.onnx", "insightface": models / "det_500m.onnx"}
    detector = make_detector("yunet", DetectorParams(weights=str(weights["yunet"]), det_size=640, min_score=0.6))
    return Kit(shared / "clips", weights, model_file, model, detector)


def stream_of(path: Path) -> VideoStream:
    stream = probe(path).video
    assert stream is not None
    return stream


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        decoded = cast(Iterator[av.VideoFrame], container.decode(video=0))
        return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])


def outside_faces(kit: Kit, video: Path) -> np.ndarray:
    """Bool [T, H, W], true outside the lower half of the face box of each frame."""
    stream = stream_of(video)
    outside = np.ones((stream.n_frames, stream.height, stream.width), bool)
    shots = shot_people(sample_faces(video, stream, kit.detector), stream.n_frames, stream.fps)
    for track in chosen_tracks(shots, "largest"):
        boxes = whole_boxes(track.boxes, (stream.height, stream.width))
        for number, (x1, y1, x2, y2) in enumerate(boxes, track.start):
            outside[number, (y1 + y2) // 2 : y2, x1:x2] = False
    return outside


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n].astype(float), b[:n].astype(float))[0, 1])


@pytest.mark.parametrize("lossless", [True, False])
def test_a_dubbed_clip_keeps_all_but_the_face_and_says_the_new_sound(kit: Kit, tmp_path: Path, lossless: bool) -> None:
    video, audio, out = kit.clips / "grid/bbaf2n.mpg", kit.clips / "grid/swiz3n.mpg", tmp_path / "out.mp4"
    done = dub(kit.model, kit.detector, video, audio, out, crf=CRF, lossless=lossless)
    assert (done.n_frames, done.n_made, done.cut_s) == (75, 75, 0.0)
    before, after = stream_of(video), stream_of(out)
    assert (after.width, after.height, after.fps, after.n_frames) == (360, 288, 25.0, 75)
    np.testing.assert_allclose(after.pts_s - after.start_s, before.pts_s - before.start_s, atol=1e-4)

    outside = outside_faces(kit, video)
    assert 0.8 < outside.mean() < 0.97
    difference = np.abs(frames_of(out).astype(int) - frames_of(video)).max(-1)
    assert difference[~outside].mean() > 4  # an untrained generator paints something else
    if lossless:
        assert difference[outside].max() == 0
    else:
        assert difference[outside].mean() < 3
        assert np.percentile(difference[outside], 99) < 16

    heard = read_audio(out)
    assert correlation(heard, read_audio(audio)) > 0.99
    assert abs(correlation(heard, read_audio(video))) < 0.3
    with av.open(str(out)) as container:
        assert "generated" in container.metadata["comment"].lower()


def test_a_published_wav2lip_dubs_by_the_same_command(kit: Kit, tmp_path: Path) -> None:
    torch.manual_seed(0)
    image = replace(GENERATOR.image, fold=1, image_skip=False, encoder_widths=(4,) * 7, encoder_residuals=(0,) * 7,
                    decoder_widths=(4,) * 7, decoder_residuals=(0,) * 7, stem_kernel=7)  # fmt: skip
    peer = Wav2LipGenerator(Wav2LipConfig(image=image, mel_widths=(2, 2, 3, 4)))
    torch.save({"state_dict": {f"module.{key}": value for key, value in peer.state_dict().items()}}, tmp_path / "w.pth")
    video, audio, out = kit.clips / "grid/bbaf2n.mpg", kit.clips / "grid/swiz3n.mpg", tmp_path / "out.mp4"
    done = dub(load_generator(tmp_path / "w.pth"), kit.detector, video, audio, out, crf=CRF)
    assert (done.n_frames, done.n_made) == (75, 75)
    assert correlation(read_audio(out), read_audio(audio)) > 0.99


def test_variable_frame_rate_keeps_its_time_stamps(kit: Kit, tmp_path: Path) -> None:
    video, out = kit.clips / "hard/vrt1_vfr.mp4", tmp_path / "out.mp4"
    done = dub(kit.model, kit.detector, video, kit.clips / "grid/swiz3n.mpg", out, crf=CRF)
    before, after = stream_of(video), stream_of(out)
    assert done.n_frames == done.n_made == after.n_frames == 135
    assert len(np.unique(np.diff(before.pts_s).round(3))) > 1
    np.testing.assert_allclose(after.pts_s - after.start_s, before.pts_s - before.start_s, atol=1e-4)
    assert after.fps == pytest.approx(before.fps, rel=1e-3)
    assert correlation(read_audio(out), read_audio(kit.clips / "grid/swiz3n.mpg")) > 0.99


def test_ntsc_rate_and_both_shots_of_a_cut_are_kept(kit: Kit, tmp_path: Path) -> None:
    for name, n_frames, fps in (("fps29_97", 90, 30000 / 1001), ("speaker_change_at_3s", 150, 25.0)):
        out = tmp_path / f"{name}.mp4"
        video = kit.clips / f"derived/{name}.mp4"
        done = dub(kit.model, kit.detector, video, kit.clips / "grid/swiz3n.mpg", out, crf=CRF)
        assert (done.n_frames, done.n_made) == (n_frames, n_frames)
        assert stream_of(out).fps == pytest.approx(fps, rel=1e-6)


def test_the_size_of_pixels_is_kept_and_the_colours_are_labelled(kit: Kit, tmp_path: Path) -> None:
    video, out = tmp_path / "wide.mp4", tmp_path / "out.mp4"
    frames = read_video(kit.clips / "grid/bbaf2n.mpg").frames[:8]
    write_video(video, iter(frames), pixel_aspect=Fraction(12, 11))
    dub(kit.model, kit.detector, video, kit.clips / "grid/swiz3n.mpg", out, crf=CRF)
    assert stream_of(video).pixel_aspect == stream_of(out).pixel_aspect == Fraction(12, 11)
    with av.open(str(out)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (5, 1)  # BT.601, 16..235: how the encoder converts


@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_shorter_and_longer_sound(kit: Kit, tmp_path: Path, seconds: float) -> None:
    video, audio, out = kit.clips / "grid/lbax4n.mpg", tmp_path / "speech.wav", tmp_path / "out.mp4"
    pcm = np.tile(read_audio(kit.clips / "grid/swiz3n.mpg", sample_rate=OUTPUT_RATE), 2)[: int(seconds * OUTPUT_RATE)]
    write_audio(audio, pcm, OUTPUT_RATE)
    done = dub(kit.model, kit.detector, video, audio, out, crf=CRF)
    assert (done.n_frames, stream_of(out).n_frames) == (75, 75)
    assert done.cut_s == pytest.approx(max(0.0, seconds - 3), abs=1e-3)
    heard = read_audio(out, sample_rate=OUTPUT_RATE)
    assert len(heard) / OUTPUT_RATE == pytest.approx(min(seconds, 3.0), abs=0.05)
    assert correlation(heard, pcm) > 0.97  # AAC


def test_sound_without_a_picture_begins_with_its_first_sample(tmp_path: Path) -> None:
    """Cut from a longer file, a sound may keep time stamps of a second and more; alone, it is not late by them."""
    path, pcm = tmp_path / "sound.mka", (np.sin(np.arange(16000) / 7) * 9000).astype(np.int16)
    with av.open(str(path), "w", format="matroska") as container:
        stream = cast(av.AudioStream, container.add_stream("pcm_s16le", rate=16000, layout="mono"))
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 24000, Fraction(1, 16000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(read_audio(path)[24000:], pcm)
    np.testing.assert_array_equal(read_audio(path, None), pcm)


@pytest.mark.parametrize("detector", ["yunet", "insightface"])
def test_the_command_line_dubs(
    kit: Kit, tmp_path: Path, detector: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made/for/it/out.mp4"
    run(kit, monkeypatch, out, detector=detector)
    assert capsys.readouterr().out == f"{out}: 75 frames, 75 of them with a new face\n"
    assert stream_of(out).n_frames == 75


def run(kit: Kit, monkeypatch: pytest.MonkeyPatch, out: Path, **changed: object) -> None:
    """`synctalk dub` in this process; `changed` replaces arguments by name."""
    given: dict[str, object] = {
        "video": kit.clips / "grid/bbaf2n.mpg",
        "audio": kit.clips / "grid/swiz3n.mpg",
        "detector": "yunet",
        "model": kit.model_file,
    }
    given |= changed
    given.setdefault("weights", kit.weights[str(given["detector"])])
    options = [f"--{name}={given[name]}" for name in given if name not in ("video", "audio")]
    monkeypatch.setattr(
        sys, "argv", ["synctalk", "dub", str(given["video"]), str(given["audio"]), f"-o{out}", *options]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    if stop.value.code:
        raise stop.value


def one_line(code: object) -> str:
    """What `sys.exit(code)` prints: status 1 and `code` on stderr."""
    assert isinstance(code, str)
    assert code.startswith("error: ")
    assert "\n" not in code
    return code


@pytest.mark.parametrize(
    ("argument", "value", "says"),
    [
        ("video", "nowhere.mp4", "nowhere.mp4: is not there"),
        ("video", "{clips}/derived/truncated.mp4", "truncated.mp4: has 200000 bytes of 656567"),
        ("video", "{tmp}/empty.mp4", "empty.mp4: has zero bytes"),
        ("video", "{tmp}/sound.wav", "sound.wav: has no video frames"),
        ("video", "{clips}/hard/bbb_cartoon_51audio.mp4", "no face was found"),
        ("audio", "nowhere.wav", "nowhere.wav: is not there"),
        ("audio", "{clips}/derived/no_audio.mp4", "no_audio.mp4: has no audio stream"),
        ("audio", "{clips}/derived/truncated.mp4", "truncated.mp4: has 200000 bytes of 656567"),
        ("weights", "nowhere.onnx", "nowhere.onnx: the weights of yunet are not there"),
        ("weights", "{tmp}/junk.onnx", "junk.onnx: is no YuNet model"),
        ("weights", "{models}/det_500m.onnx", "det_500m.onnx: is no YuNet model"),
        ("model", "nowhere.safetensors", "nowhere.safetensors: is not there"),
        ("model", "{tmp}/junk.onnx", "junk.onnx: is neither"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, value: str, says: str
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "junk.onnx").write_bytes(bytes(range(256)) * 20)
    write_audio(tmp_path / "sound.wav", np.ones(16000, np.int16))
    out = tmp_path / "out" / "out.mp4"
    path = value.format(clips=kit.clips, tmp=tmp_path, models=kit.weights["yunet"].parent)
    with pytest.raises(SystemExit) as stop:
        run(kit, monkeypatch, out, **{argument: path})
    assert says in one_line(stop.value.code)
    assert not [file for file in tmp_path.rglob("*") if "out.mp4" in file.name]


@pytest.mark.parametrize("weights", ["junk.onnx", "yunet"])
def test_weights_that_are_not_scrfds_are_one_line(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    (tmp_path / "junk.onnx").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(SystemExit) as stop:
        run(
            kit,
            monkeypatch,
            tmp_path / "out.mp4",
            detector="insightface",
            weights=kit.weights.get(weights, tmp_path / weights),
        )
    assert "is no SCRFD model" in one_line(stop.value.code)


def test_places_that_cannot_be_written_are_one_line(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, a_file = tmp_path / "clip.mp4", tmp_path / "file"
    video.write_bytes((kit.clips / "derived/swapped_audio.mp4").read_bytes())
    a_file.touch()
    before = video.read_bytes()
    for out, says in (
        (video, "is one of the inputs"),
        (tmp_path / "out.avi", "is no name for an MP4 file"),
        (a_file / "out.mp4", "cannot be made"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(kit, monkeypatch, out, video=video)
        assert says in one_line(stop.value.code)
    assert video.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "file"}


def test_video_that_breaks_off_while_it_is_decoded_is_one_line(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index in front promises 25 frames; the bytes of most are gone."""
    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (25, 64, 64, 3), dtype=np.uint8)
    write_video(whole, iter(noise))
    broken.write_bytes(whole.read_bytes()[:20000])
    with pytest.raises(SystemExit) as stop:
        run(kit, monkeypatch, tmp_path / "out.mp4", video=broken)
    assert str(broken) in one_line(stop.value.code)
    assert not (tmp_path / "out.mp4").exists()


def test_a_full_disk_is_one_line_and_leaves_no_file(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        with pytest.raises(SystemExit) as stop:
            run(kit, monkeypatch, disk / "out.mp4")
        line = one_line(stop.value.code)
        assert line == f"error: {disk}/out.mp4: cannot be written (No space left on device); write to another path"
        assert list(disk.iterdir()) == []


def test_the_program_ends_with_one_line_and_no_trace(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--weights", str(kit.weights["yunet"]), "--model", str(kit.model_file)]
    monkeypatch.setattr(sys, "argv", ["synctalk", "dub", "nowhere.mp4", "nowhere.wav", "-o", "out.mp4", *options])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main()
    # Python prints the line, and exits with 1
    assert end.value.code == "error: nowhere.mp4: is not there; give the path of a media file"
    out, errors = capsys.readouterr()
    assert (out, "Traceback" in errors) == ("", False)
    assert list(tmp_path.iterdir()) == []


def grid_frames(kit: Kit, n_frames: int) -> np.ndarray:
    return read_video(kit.clips / "grid/bbaf2n.mpg", span=slice(0, n_frames)).frames


def sound_of(tmp_path: Path, kit: Kit, seconds: float) -> Path:
    path = tmp_path / "speech.wav"
    pcm = read_audio(kit.clips / "grid/swiz3n.mpg", sample_rate=OUTPUT_RATE)
    write_audio(path, pcm[: int(seconds * OUTPUT_RATE)], OUTPUT_RATE)
    return path


@pytest.mark.parametrize(
    ("fit", "seconds", "order"),
    [
        (Fit.CUT, 0.5, [*range(13)]),
        (Fit.LOOP, 1.6, [*range(20), *range(20)]),
        (Fit.PING_PONG, 1.6, [*range(20), *range(18, 0, -1), 0, 1]),
    ],
)
def test_footage_that_is_shown_again_is_the_same_outside_the_face(
    kit: Kit, tmp_path: Path, fit: Fit, seconds: float, order: list[int]
) -> None:
    video, out = tmp_path / "twenty.mp4", tmp_path / "out.mp4"
    write_video(video, iter(grid_frames(kit, 20)), gop=6)
    audio = sound_of(tmp_path, kit, seconds)
    pcm = read_audio(audio)
    done = dub(kit.model, kit.detector, video, audio, out, crf=CRF, lossless=True, fit=fit)
    assert (done.n_frames, done.n_made, done.cut_s) == (len(order), len(order), 0.0)
    assert stream_of(out).n_frames == len(order)
    outside = outside_faces(kit, video)[order]
    np.testing.assert_array_equal(frames_of(out)[outside], frames_of(video)[order][outside])
    heard = read_audio(out)
    assert correlation(heard, pcm) > 0.97
    assert len(heard) / 16000 == pytest.approx(seconds, abs=0.05)


@pytest.mark.parametrize(("who", "n_faces"), [(1, 1), (2, 1), ("all", 2), ("largest", 1)])
def test_of_two_faces_the_one_that_is_asked_for_is_dubbed(kit: Kit, tmp_path: Path, who: Who, n_faces: int) -> None:
    video, short, out = kit.clips / "derived/two_faces_left_speaks.mp4", tmp_path / "short.mp4", tmp_path / "out.mp4"
    write_video(short, iter(read_video(video, span=slice(0, 12)).frames), lossless=True)
    done = dub(kit.model, kit.detector, short, sound_of(tmp_path, kit, 1), out, crf=CRF, lossless=True, who=who)
    assert (done.n_frames, done.n_made) == (12, 12)
    changed = np.abs(frames_of(out).astype(int) - frames_of(short)).max(-1).mean(0)
    half = changed.shape[1] // 2
    sides = changed[:, :half].max() > 0, changed[:, half:].max() > 0
    assert sum(sides) == n_faces
    if isinstance(who, int):
        assert sides == (who == 1, who == 2)


def test_a_face_that_is_not_there_is_one_line(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(kit, monkeypatch, tmp_path / "out.mp4", faces="2")
    line = one_line(stop.value.code)
    assert line.endswith("bbaf2n.mpg: no shot has a face number 2; take a number up to 1, largest, or all")
    with pytest.raises(SystemExit) as stop:
        run(kit, monkeypatch, tmp_path / "out.mp4", faces="left")
    assert stop.value.code == 2
    assert "'left' is none of largest, all, 1, 2, ..." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_face_that_is_lost_for_a_second_is_dubbed_before_and_after(kit: Kit, tmp_path: Path) -> None:
    video, out = tmp_path / "lost.mp4", tmp_path / "out.mp4"
    frames = grid_frames(kit, 75).copy()
    lost = slice(25, 50)
    (track,) = chosen_tracks(shot_people(look_at(kit, frames, tmp_path), 75, 25.0), "largest")
    x1, y1, x2, y2 = whole_boxes(track.boxes, frames.shape[1:3])[30]
    frames[lost, y1 - 20 : y2 + 20, x1 - 20 : x2 + 20] = 128
    write_video(video, iter(frames), lossless=True)
    done = dub(kit.model, kit.detector, video, sound_of(tmp_path, kit, 3), out, crf=CRF, lossless=True)
    changed = (frames_of(out) != frames_of(video)).any((1, 2, 3))
    assert done.n_made == changed.sum()
    assert changed[:24].all()
    assert changed[52:].all()
    assert not changed[28:47].any()


def look_at(kit: Kit, frames: np.ndarray, tmp_path: Path) -> SampledFaces:
    path = tmp_path / "looked_at.mp4"
    write_video(path, iter(frames))
    return sample_faces(path, stream_of(path), kit.detector)


def test_hevc_that_a_phone_filmed_sideways_comes_out_upright(kit: Kit, tmp_path: Path) -> None:
    video, out = tmp_path / "phone.mov", tmp_path / "out.mp4"
    frames = grid_frames(kit, 12)
    with av.open(str(video), "w", format="mov") as container:
        stream = container.add_stream("libx265", rate=25, options={"crf": "8", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 288, 360, "yuv420p10le"
        stream.set_display_rotation(90)
        for frame in frames:
            sideways = np.ascontiguousarray(np.rot90(frame, -1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(sideways, format="rgb24")))
        container.mux(stream.encode(None))
    assert stream_of(video).codec == "hevc"
    done = dub(kit.model, kit.detector, video, sound_of(tmp_path, kit, 1), out, crf=CRF)
    assert (done.n_frames, done.n_made, done.width, done.height) == (12, 12, 360, 288)
    outside = outside_faces(kit, out)
    assert np.abs(frames_of(out).astype(int) - frames)[outside].mean() < 3
    assert stream_of(out).codec == "h264"


def test_odd_sides_are_filled_up_so_that_the_file_plays_everywhere(kit: Kit, tmp_path: Path) -> None:
    video = tmp_path / "odd.mp4"
    frames = grid_frames(kit, 6)[:, :287, :359]
    write_video(video, iter(frames), lossless=True)
    for lossless, form, size in ((False, "yuv420p", (360, 288)), (True, "gbrp", (359, 287))):
        out = tmp_path / "out.mp4"
        done = dub(kit.model, kit.detector, video, sound_of(tmp_path, kit, 1), out, crf=CRF, lossless=lossless)
        assert (done.width, done.height) == size == (stream_of(out).width, stream_of(out).height)
        with av.open(str(out)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == form
        made = frames_of(out)[:, :287, :359]
        outside = outside_faces(kit, video)
        assert np.abs(made.astype(int) - frames)[outside].mean() < (3 if not lossless else 1e-9)
    assert even_sides(frames[0])[287, 359].tolist() == frames[0][286, 358].tolist()


def test_the_index_stands_before_the_pictures(kit: Kit, tmp_path: Path) -> None:
    video, out = tmp_path / "short.mp4", tmp_path / "out.mp4"
    write_video(video, iter(grid_frames(kit, 6)))
    dub(kit.model, kit.detector, video, sound_of(tmp_path, kit, 1), out, crf=CRF)
    data = out.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(out)) as container:
        assert container.metadata["comment"] == GENERATED["comment"]
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]


def test_long_sound_is_heard_in_pieces_as_it_is_at_once(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wav2Lip hears 0.2 s a frame, so that pieces with 5 s around them make no difference at all."""
    torch.manual_seed(0)
    peer = Wav2LipGenerator(Wav2LipConfig(image=GENERATOR.image, mel_widths=(2, 2, 3, 4))).eval()
    pcm = np.random.default_rng(0).normal(0, 2000, 16000 * 26 + 100).astype(np.int16)
    pieces = encode_long_audio(peer, pcm)
    monkeypatch.setattr("synctalk.generation.audio.WHOLE_ROWS", 10_000)
    whole = encode_long_audio(peer, pcm)
    assert pieces.shape == whole.shape == (651, GENERATOR.image.d_audio)
    np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5)
    assert whole.std(0).max() > 1e-4


def test_what_is_far_away_in_long_sound_is_not_heard(kit: Kit) -> None:
    """Attention reaches as far as it is let: memory does not grow with the square of the length."""
    pcm = np.random.default_rng(0).normal(0, 2000, 16000 * 40).astype(np.int16)
    other = pcm.copy()
    other[: 16000 * 5] = 0
    a, b = encode_long_audio(kit.model, pcm), encode_long_audio(kit.model, other)
    changed = (a != b).any(1).numpy()
    assert len(a) == 1000
    assert changed[:125].all()
    assert not changed[500:].any()
