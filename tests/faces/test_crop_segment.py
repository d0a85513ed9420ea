"""A clip that is a segment of a longer file gives what that stretch of the whole gives, and decodes no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synctalk.corpora.records import Clip
from synctalk.errors import ClipError, Reason
from synctalk.faces import extract
from synctalk.faces.extract import CropParams, crop_clip
from synctalk.features.extract import extract_features
from synctalk.media import probe, read_audio, read_video, write_video
from synctalk.params.read import load
from synctalk.shards.mosaic import decode_mosaic
from synctalk.timebase import FPS, SAMPLES_PER_FRAME, n_samples

N, FIRST, LENGTH = 90, 31, 40
SIZE = 160
FACE = np.array([[60, 70], [100, 70], [80, 92], [66, 112], [94, 112]], np.float32)


def waves(n_frames: int) -> np.ndarray:
    """Frames [T, 160, 160, 3] that differ from each other everywhere."""
    t, y, x, c = np.ogrid[:n_frames, :SIZE, :SIZE, :3]
    return np.rint(120 + 80 * np.sin(0.37 * t + x / 11 + y / 14 + c)).astype(np.uint8)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    audio = np.random.default_rng(0).integers(-8000, 8000, n_samples(N)).astype(np.int16)
    write_video(root / "long.mp4", waves(N), audio=audio, lossless=True, gop=25)
    moved = np.arange(N, dtype=np.float32)[:, None] * 0.2
    boxes = np.concatenate([40 + moved, 40 + moved, 120 + moved, 130 + moved], 1)
    np.savez(root / "long.npz", boxes=boxes, landmarks=FACE[None] + moved[:, None])
    return root


@pytest.fixture(scope="module")
def params() -> CropParams:
    return load("crop", CropParams, Path(__file__).parents[2] / "params.yaml")


WHOLE = Clip("long", "a", "pretrain", "long.mp4", "long.mp4", "", n_frames=N, face_track="long.npz")
SEGMENT = replace(WHOLE, id="long/000031-000071", first_frame=FIRST, n_cut_frames=LENGTH)
MEMBERS = ("faces", "mouth")


def test_a_span_of_a_video_is_that_stretch_of_all_of_it(corpus: Path) -> None:
    whole = read_video(corpus / "long.mp4")
    part = read_video(corpus / "long.mp4", probe(corpus / "long.mp4"), SEGMENT.span)
    np.testing.assert_array_equal(part.frames, whole.frames[FIRST : FIRST + LENGTH])
    np.testing.assert_array_equal(part.source_index, np.arange(FIRST, FIRST + LENGTH))
    with pytest.raises(ClipError) as error:
        read_video(corpus / "long.mp4", span=slice(N, N + 3))
    assert error.value.reason == Reason.NO_VIDEO


def test_a_clip_without_a_length_goes_to_the_end_of_its_file() -> None:
    assert np.arange(9)[WHOLE.span].tolist() == list(range(9))
    assert np.arange(9)[replace(WHOLE, first_frame=4).span].tolist() == [4, 5, 6, 7, 8]
    assert np.arange(9)[replace(WHOLE, first_frame=4, n_cut_frames=2).span].tolist() == [4, 5]


def test_the_crop_of_a_segment_is_that_stretch_of_the_whole(
    corpus: Path, params: CropParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = crop_clip(corpus, WHOLE, params, None, MEMBERS)
    decoded = []
    plain = extract.read_video
    monkeypatch.setattr(extract, "read_video", lambda *given: decoded.append(plain(*given)) or decoded[-1])
    (part,) = crop_clip(corpus, SEGMENT, params, None, MEMBERS)
    stretch = slice(FIRST, FIRST + LENGTH)
    assert (part.id, part.start, part.audio_start, part.n_frames) == (SEGMENT.id, FIRST, FIRST, LENGTH)
    assert [len(video.frames) for video in decoded] == [LENGTH]
    np.testing.assert_array_equal(part.boxes, whole.boxes[stretch])
    np.testing.assert_array_equal(part.mouth_transforms, whole.mouth_transforms[stretch])
    for blob, other in ((part.faces, whole.faces), (part.mouth, whole.mouth)):
        away = np.abs(decode_mosaic(blob, LENGTH).astype(int) - decode_mosaic(other, N)[stretch])
        assert away.max() <= 6  # JPEG, in other places of the mosaic


def test_the_sound_of_a_segment_is_that_stretch_of_the_whole(corpus: Path, params: CropParams) -> None:
    pcm = read_audio(corpus / "long.mp4")
    (part,) = crop_clip(corpus, SEGMENT, params, None, MEMBERS)
    rows = extract_features(pcm, part.start, part.n_frames, ("fbank",))["fbank"]
    whole = extract_features(pcm, 0, N, ("fbank",))["fbank"]
    # preemphasis looks one sample back, so the very first row is its own
    np.testing.assert_allclose(rows[1:], whole[FIRST + 1 : FIRST + LENGTH], atol=1e-4)


def test_only_the_sound_of_the_stretch_must_be_heard(
    corpus: Path, params: CropParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcm = read_audio(corpus / "long.mp4")
    pcm[n_samples(FIRST) : n_samples(FIRST + LENGTH)] = 0
    monkeypatch.setattr(extract, "read_audio", lambda *given: pcm)
    crop_clip(corpus, replace(WHOLE, first_frame=0, n_cut_frames=FIRST), params, None, MEMBERS)
    with pytest.raises(ClipError) as error:
        crop_clip(corpus, SEGMENT, params, None, MEMBERS)
    assert error.value.reason == Reason.SILENT_AUDIO


def test_lengths_are_those_of_the_segment_and_a_file_out_of_joint_is_no_source(
    corpus: Path, params: CropParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = replace(params, quality=replace(params.quality, max_s=LENGTH / FPS))
    assert crop_clip(corpus, SEGMENT, limit, None, MEMBERS)[0].n_frames == LENGTH
    for clip, reason in (
        (WHOLE, Reason.TOO_LONG),
        (replace(SEGMENT, n_cut_frames=3), Reason.TOO_SHORT),
        (replace(SEGMENT, first_frame=N), Reason.TOO_SHORT),
    ):
        with pytest.raises(ClipError) as error:
            crop_clip(corpus, clip, limit, None, MEMBERS)
        assert error.value.reason == reason
    pcm = read_audio(corpus / "long.mp4")[: -SAMPLES_PER_FRAME * 25]
    monkeypatch.setattr(extract, "read_audio", lambda *given: pcm)
    with pytest.raises(ClipError) as error:
        crop_clip(corpus, SEGMENT, params, None, MEMBERS)
    assert error.value.reason == Reason.LENGTH_MISMATCH
