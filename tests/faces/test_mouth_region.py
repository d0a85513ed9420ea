"""Mouth regions from 5, 68 and 106 landmarks: by construction, and beside AV-HuBERT's own preparation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from parity import assert_close, formula, note, reference

from synctalk.errors import ClipError
from synctalk.faces import align
from synctalk.faces.align import (
    LAYOUTS,
    MEAN_FACE,
    STABLE_FACE,
    MouthParams,
    crop_mouth,
    fit_similarity,
    mouth_transforms,
    window_means,
)
from synctalk.faces.detect import read_published_track

PEER = MouthParams(mode="mean_face", size=96, centre_px=96, window_frames=12)
ALONE = replace(PEER, window_frames=1)


@pytest.fixture(scope="module")
def mean_face(shared: Path) -> np.ndarray:
    """AV-HuBERT's mean face, [68, 2] on the canvas."""
    return np.load(shared / "models/20words_mean_face.npy").astype(np.float32)


def as_106(points: np.ndarray) -> np.ndarray:
    """68 landmarks [T, 68, 2] in insightface's order; points that it has besides lie far away."""
    moved = np.full((len(points), 106, 2), -1e4, np.float32)
    moved[:, LAYOUTS[106].stable] = points[:, LAYOUTS[68].stable]
    moved[:, LAYOUTS[106].mouth] = points[:, LAYOUTS[68].mouth]
    return moved


def canvas_picture() -> np.ndarray:
    """A smooth picture of the size of the canvas."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)


def test_the_stable_points_are_those_of_the_mean_face(mean_face: np.ndarray) -> None:
    np.testing.assert_allclose(STABLE_FACE, mean_face[list(LAYOUTS[68].stable)], atol=1e-4)
    # and the 5-point face is the same face: eyes, tip of the nose, corners of the mouth
    eyes = [mean_face[36:42].mean(0), mean_face[42:48].mean(0)]
    np.testing.assert_allclose(MEAN_FACE, [*eyes, mean_face[30], mean_face[48], mean_face[54]], atol=0.7)


def test_insightface_lists_each_point_once(mean_face: np.ndarray) -> None:
    points = [*LAYOUTS[106].stable, *LAYOUTS[106].mouth]
    assert len(set(points)) == 25
    assert len(LAYOUTS[106].mouth) == len(LAYOUTS[68].mouth) == 20
    # the outer corners of the mouth, first and seventh of the twenty, as iBUG counts them
    assert (LAYOUTS[106].mouth[0], LAYOUTS[106].mouth[6]) == (52, 61)


@pytest.mark.parametrize("n_points", [5, 68, 106])
@pytest.mark.parametrize(
    ("angle", "size", "shift"), [(0.0, 1.0, (0, 0)), (25.0, 1.6, (190, 30)), (-40.0, 0.9, (60, 250))]
)
def test_a_face_that_is_turned_scaled_and_moved_has_the_same_region(
    mean_face: np.ndarray, n_points: int, angle: float, size: float, shift: tuple[int, int]
) -> None:
    turn = size * np.array(
        [
            [np.cos(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))],
            [np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))],
        ]
    )
    similarity = np.concatenate([turn, np.array(shift)[:, None]], axis=1)
    frame = cv2.warpAffine(canvas_picture(), similarity, (640, 640), flags=cv2.INTER_CUBIC)
    on_canvas = {5: MEAN_FACE[None], 68: mean_face[None], 106: as_106(mean_face[None])}[n_points]
    landmarks = (on_canvas @ turn.T + np.array(shift)).astype(np.float32)
    matrix = mouth_transforms(landmarks, ALONE, (640, 640))
    region = crop_mouth(frame[None], matrix, 96)[0]
    grey = cv2.cvtColor(canvas_picture(), cv2.COLOR_RGB2GRAY)
    # 48 around (129, 158), the pixel nearest to the middle of the lips; of 5 points around (129.5, 157), between pixels
    between = (grey[109:205, 82:178].astype(int) + grey[110:206, 82:178]) / 2
    wanted = between if n_points == 5 else grey[110:206, 81:177].astype(int)
    assert np.abs(region - wanted).mean() < 1.5
    assert np.abs(region - wanted).max() < 12


def test_106_points_give_what_their_68_give(mean_face: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    landmarks = (1.3 * mean_face + rng.normal(0, 2, (20, 68, 2)) + [30, 40]).astype(np.float32)
    wanted = mouth_transforms(landmarks, PEER, (400, 400))
    np.testing.assert_allclose(mouth_transforms(as_106(landmarks), PEER, (400, 400)), wanted, atol=1e-3)


def test_smaller_regions_show_the_same(mean_face: np.ndarray) -> None:
    landmarks = (1.5 * mean_face[None] + [20, 30]).astype(np.float32)
    large, small = (mouth_transforms(landmarks, replace(ALONE, size=size), (500, 500))[0] for size in (96, 48))
    corners = np.array([[-0.5, -0.5, 1], [95.5, 95.5, 1]]) @ np.linalg.inv(np.vstack([large, [0, 0, 1]])).T
    np.testing.assert_allclose(corners @ small.T, [[-0.5, -0.5], [47.5, 47.5]], atol=1e-3)


def test_windows_look_forward_and_the_last_frames_share_the_last_full_one() -> None:
    points = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 5, 2), np.float32)
    np.testing.assert_allclose(window_means(points, 3)[:, 0, 0], [1, 2, 3, 4, 4, 4])
    np.testing.assert_allclose(window_means(points, 1)[:, 0, 0], range(6))
    np.testing.assert_allclose(window_means(points, 12)[:, 0, 0], [2.5] * 6)


@pytest.mark.parametrize("name", ["a", "short"])
def test_regions_are_those_of_av_huberts_preparation(shared: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    peer = reference(shared, "avhubert_roi")
    template = peer["template"][list(LAYOUTS[68].stable)].astype(np.float32)
    monkeypatch.setitem(align.LAYOUTS, 68, replace(LAYOUTS[68], target=template))
    n_frames, height, width = peer[f"{name}.shape"][:3]
    frames = formula(shared).video(int(n_frames), int(height), int(width))
    landmarks = peer[f"{name}.interpolated"].astype(np.float32)
    # the peer's precision; tracks are kept in single precision, which moves the matrix by 3e-5 pixels
    stable = list(LAYOUTS[68].stable)
    window = peer[f"{name}.interpolated"][:12, stable].mean(0)
    first = fit_similarity(window, peer["template"][stable].astype(np.float64))
    assert_close(np.vstack([first, [0, 0, 1]]), peer[f"{name}.first_matrix"], 1e-6)
    regions = crop_mouth(
        np.ascontiguousarray(frames[..., ::-1]), mouth_transforms(landmarks, PEER, (height, width)), 96
    )
    difference = np.abs(regions[peer[f"{name}.roi_index"]].astype(int) - peer[f"{name}.gray"])
    assert note(peer[f"{name}.gray"], float(np.percentile(difference, 99)), 1)
    # the mean of every region; the peer cuts off fractions where OpenCV rounds: half a level
    blue_green_red = peer[f"{name}.roi_mean"] @ [0.114, 0.587, 0.299]
    assert note(peer[f"{name}.roi_mean"], float(np.abs(regions.mean((1, 2)) - 0.5 - blue_green_red).max()), 0.3)


def test_published_tracks_may_have_68_points_and_nothing_odd(tmp_path: Path) -> None:
    boxes = np.tile(np.array([10, 10, 50, 60], np.float32), (4, 1))
    for n_points in (5, 68, 106):
        np.savez(tmp_path / "track.npz", boxes=boxes, landmarks=np.zeros((4, n_points, 2)))
        assert read_published_track(tmp_path / "track.npz", np.arange(4)).landmarks.shape == (4, n_points, 2)
    np.savez(tmp_path / "track.npz", boxes=boxes, landmarks=np.zeros((4, 98, 2)))
    with pytest.raises(ClipError, match=r"landmarks \(4, 98, 2\)"):
        read_published_track(tmp_path / "track.npz", np.arange(4))
