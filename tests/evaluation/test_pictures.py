"""Pixels before any judge: scores by hand, and the stretch of footage that is compared."""

from __future__ import annotations

from dataclasses import replace
from math import log10
from pathlib import Path

import numpy as np
import pytest
from footage import FACE, MOUTH, START, made_videos, noise, real_videos, waves

from synctalk.evaluation.videos.corpus import ClipSetup, ClipVideo, decode_clip, prepare_clip
from synctalk.evaluation.videos.images import compare_images
from synctalk.evaluation.videos.prepared import PreparedVideo
from synctalk.faces.crop import crop_face, mouth_region
from synctalk.media.write import write_video
from synctalk.models.syncnet import SyncNetConfig

JUDGE = SyncNetConfig(image_size=48, in_channels=1)


def prepared(video: ClipVideo, setup: ClipSetup) -> PreparedVideo:
    ready = prepare_clip(video, setup)
    assert ready.video is not None
    return ready.video


def boxes_of(frames: np.ndarray) -> np.ndarray:
    """The whole frame as the face."""
    return np.tile(np.int32([0, 0, frames.shape[2], frames.shape[1]]), (len(frames), 1))


def test_scores_by_hand() -> None:
    real = np.full((2, 96, 96, 3), 100, np.uint8)
    real[1] = 120
    made = real.copy()
    rows, columns = mouth_region(96)
    made[:, rows, columns] += 20
    scores = compare_images(real, made, boxes_of(real), 96)
    share = 36 * 48 / 96**2
    assert scores.mouth_psnr == pytest.approx(20 * log10(255 / 20))
    assert scores.psnr == pytest.approx(20 * log10(255 / (20 * share**0.5)))
    # bytes wrap: 20 squared is 144 modulo 256
    assert scores.psnr_uint8 == pytest.approx(20 * log10(255 / (12 * share**0.5)))
    # the mean of 100 and 120 is 10 away from either
    assert scores.mean_mouth_psnr == pytest.approx(20 * log10(255 / 10))
    assert scores.ssim < 1


def test_only_the_mouth_region_counts_for_the_mouth() -> None:
    real = waves(3, 0)[:, :96, :96]
    made = real.copy()
    made[:, :40] = 0
    scores = compare_images(real, made, boxes_of(real), 96)
    assert scores.mouth_psnr == 100.0
    assert scores.psnr < 20


def test_clips_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare_images(waves(3, 0)[:, :96, :96], waves(2, 0)[:, :96, :96], None, 96)


def test_real_footage_is_the_stretch_that_the_sample_covers(tmp_path: Path) -> None:
    (video,) = real_videos(tmp_path, 1)
    frames, pcm = decode_clip(video)
    np.testing.assert_array_equal(frames, waves(START + 21, 0)[START : START + 20])
    assert len(pcm) == 20 * 640
    said = noise(START + 21, 0)[START * 640 : (START + 20) * 640]
    # AAC keeps most of white noise; a shift of a few samples would leave none of it
    assert np.corrcoef(pcm, said)[0, 1] > 0.5


@pytest.mark.parametrize("audio_start", [START - 3, START - 1, START + 1])
def test_the_sound_of_real_footage_is_where_screening_left_it(tmp_path: Path, audio_start: int) -> None:
    (video,) = real_videos(tmp_path, 1)
    row = replace(video.sample.row, audio_start=audio_start)
    frames, pcm = decode_clip(replace(video, sample=replace(video.sample, row=row)))
    np.testing.assert_array_equal(frames, waves(START + 21, 0)[START : START + 20])
    said = noise(START + 21, 0)
    said = np.pad(said, (640, 0))[(audio_start + 1) * 640 :][: 20 * 640]
    assert len(pcm) == len(said)
    assert np.corrcoef(pcm, said)[0, 1] > 0.5


def test_a_generated_video_is_cut_to_the_sample(tmp_path: Path) -> None:
    (video,) = real_videos(tmp_path, 1)
    path = tmp_path / "made.mp4"
    write_video(path, waves(25, 4), audio=noise(25, 4), lossless=True)
    frames, _ = decode_clip(replace(video, generated=path))
    np.testing.assert_array_equal(frames, waves(20, 4))


def test_an_exact_copy_is_perfect_and_ground_truth_has_no_image_scores(tmp_path: Path) -> None:
    truth = real_videos(tmp_path, 1)
    copy = prepared(made_videos(truth, tmp_path / "made")[0], ClipSetup(FACE, MOUTH, "mouth", JUDGE))
    assert copy.images is not None
    assert (copy.images.psnr, copy.images.psnr_uint8, copy.images.mouth_psnr) == (100.0, 100.0, 100.0)
    assert copy.images.ssim == pytest.approx(1.0)
    real = prepared(truth[0], ClipSetup(FACE, MOUTH, "mouth", JUDGE))
    assert real.images is None
    np.testing.assert_array_equal(real.mouths, copy.mouths)


def test_brighter_by_ten_is_28_db_wherever_it_is_resized(tmp_path: Path) -> None:
    made = made_videos(real_videos(tmp_path, 1), tmp_path / "made", lambda frames: frames + np.uint8(10))
    images = prepared(made[0], ClipSetup(64, MOUTH, "face", JUDGE)).images
    assert images is not None
    assert images.psnr == pytest.approx(20 * log10(255 / 10), abs=0.01)
    assert images.mouth_psnr == pytest.approx(20 * log10(255 / 10), abs=0.01)


@pytest.mark.parametrize("view", ["frame", "face", "mouth"])
def test_the_sync_judge_sees_its_view_in_its_size(tmp_path: Path, view: str) -> None:
    (video,) = real_videos(tmp_path, 1)
    colour = SyncNetConfig(image_size=96, in_channels=3)
    footage = prepared(video, ClipSetup(FACE, 96, view, colour if view == "face" else JUDGE))
    if view == "face":
        frames, _ = decode_clip(video)
        face = crop_face(frames[7], video.sample.boxes[7], 96)
        np.testing.assert_array_equal(footage.pictures[7], face[..., ::-1].transpose(2, 0, 1))
    else:
        assert footage.pictures.shape == (20, 1, 48, 48)
    assert footage.mfcc.shape == (13, 79)
    assert footage.n_samples == 20 * 640
    assert footage.transcript == video.sample.row.transcript


def test_a_video_that_lost_its_end_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    made: list[ClipVideo] = made_videos(real_videos(tmp_path, 1), tmp_path / "made", lambda frames: frames[:12])
    footage = prepared(made[0], ClipSetup(FACE, MOUTH, "mouth", JUDGE))
    assert len(footage.mouths) == 12
    assert footage.images is not None
    assert footage.images.psnr == 100.0
