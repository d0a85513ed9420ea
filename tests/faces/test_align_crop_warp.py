"""Similarities, crops and the way back, against constructed pictures and OpenCV's own arithmetic."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from parity import formula, reference

from synctalk.faces.align import MEAN_FACE, MouthParams, crop_mouth, fit_similarity, mouth_transforms
from synctalk.faces.crop import crop_faces, mouth_region, paste_back, syncnet_crops, whole_boxes
from synctalk.faces.warp import paste_mouth

MOUTH = MouthParams(mode="mean_face", size=96, centre_px=88, window_frames=1)


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def test_a_known_similarity_is_recovered() -> None:
    angle, scale, shift = 0.3, 1.7, np.array([5.0, -8.0])
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    target = MEAN_FACE @ rotation.T + shift
    matrix = fit_similarity(MEAN_FACE, target.astype(np.float32))
    np.testing.assert_allclose(matrix[:, :2], rotation, atol=1e-4)
    np.testing.assert_allclose(matrix[:, 2], shift, atol=1e-3)


def test_coinciding_landmarks_have_no_similarity() -> None:
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(np.ones((5, 2), np.float32), MEAN_FACE)


def test_the_mouth_region_is_centred_upright_and_scaled_to_the_mean_face() -> None:
    # a face of twice the canvas' size, turned by 20 degrees
    angle = np.deg2rad(20)
    turn = 2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (MEAN_FACE @ turn.T + [300, 100]).astype(np.float32)
    matrix = mouth_transforms(landmarks[None], MOUTH, (800, 800))[0]
    placed = landmarks @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(placed[3:].mean(0), [47.5, 47.5], atol=1e-3)
    # mouth corners lie level, as far apart as on the canvas
    np.testing.assert_allclose(placed[4] - placed[3], MEAN_FACE[4] - MEAN_FACE[3], atol=1e-3)


def test_centre_mode_is_the_plain_middle_of_the_frame() -> None:
    frame = smooth_picture(160, 160)
    params = MouthParams(mode="centre", size=88, centre_px=88, window_frames=1)
    matrices = mouth_transforms(np.tile(MEAN_FACE, (1, 1, 1)), params, (160, 160))
    region = crop_mouth(frame[None], matrices, 88)[0]
    np.testing.assert_array_equal(region, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[36:124, 36:124])


def test_boxes_are_whole_and_inside_the_frame() -> None:
    boxes = np.array([[-5.0, 10.4, 500.0, 90.6], [50.2, 49.5, 50.4, 49.9]], np.float32)
    np.testing.assert_array_equal(whole_boxes(boxes, (100, 200))[0], [0, 10, 200, 91])
    x1, y1, x2, y2 = whole_boxes(boxes, (100, 200))[1]
    assert x2 - x1 >= 2
    assert y2 - y1 >= 2


def test_a_pasted_crop_restores_the_frame_and_touches_nothing_else() -> None:
    frame = smooth_picture(160, 200)
    box = np.array([40, 30, 136, 126], np.int32)
    face = crop_faces(frame[None], box[None], 96)[0]
    back = paste_back(frame, face, box)
    np.testing.assert_array_equal(back, frame)
    changed = paste_back(frame, 255 - face, box)
    outside = np.ones(frame.shape[:2], bool)
    outside[30:126, 40:136] = False
    np.testing.assert_array_equal(changed[outside], frame[outside])
    assert (changed[30:126, 40:136] != frame[30:126, 40:136]).any()


def test_the_mouth_region_of_a_face_lies_in_its_lower_middle() -> None:
    rows, columns = mouth_region(96)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (54, 90, 24, 72)


def mouth_of_pasted_frames(
    frames: np.ndarray, faces: np.ndarray, boxes: np.ndarray, matrices: np.ndarray
) -> np.ndarray:
    """The long way: paste every face into its frame with OpenCV, then cut the mouth region."""
    pasted = np.stack([paste_back(*each) for each in zip(frames, faces, boxes, strict=True)])
    return crop_mouth(pasted, matrices, 48)


def test_the_batched_warp_equals_pasting_and_cutting_frame_by_frame() -> None:
    n = 3
    frames = np.stack([smooth_picture(160, 180, seed) for seed in range(n)])
    faces = np.stack([smooth_picture(96, 96, 10 + seed) for seed in range(n)])
    boxes = np.array([[30, 20, 140, 150], [35, 25, 131, 121], [20, 30, 160, 158]], np.int32)
    landmarks = np.stack([MEAN_FACE * 0.5 + [20 + 2 * i, 15] for i in range(n)]).astype(np.float32)
    matrices = mouth_transforms(
        landmarks, MouthParams(mode="mean_face", size=48, centre_px=88, window_frames=1), (160, 180)
    )
    expected = mouth_of_pasted_frames(frames, faces, boxes, matrices)
    made = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    real = torch.from_numpy(crop_mouth(frames, matrices, 48)).float() / 255
    got = paste_mouth(made, real, torch.from_numpy(boxes).float(), torch.from_numpy(matrices)) * 255
    # two roundings to whole grey levels and one interpolation fewer: a level and a half at the most on smooth pictures
    difference = np.abs(got.numpy() - expected)
    assert np.median(difference) < 0.6
    assert np.percentile(difference, 99) < 2.5


def test_the_batched_warp_is_exact_where_frame_pixels_are_mouth_pixels() -> None:
    # centre mode: no rotation or scaling, so the warp is the bilinear resize of the peer, to rounding
    face = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[20.0, 25.0, 140.0, 150.0]])
    matrices = mouth_transforms(
        MEAN_FACE[None], MouthParams(mode="centre", size=88, centre_px=88, window_frames=1), (160, 160)
    )
    got = paste_mouth(face, torch.zeros(1, 88, 88), box, torch.from_numpy(matrices))
    grey = (face * torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1, keepdim=True)
    resized = F.interpolate(grey, (125, 120), mode="bilinear", align_corners=False)[0, 0]
    frame = torch.zeros(160, 160)
    frame[25:150, 20:140] = resized
    torch.testing.assert_close(got[0], frame[36:124, 36:124], atol=2e-5, rtol=0)


def test_the_warp_hands_gradients_to_the_face_and_not_to_the_rest() -> None:
    face = torch.rand(1, 3, 96, 96, requires_grad=True)
    real = torch.rand(1, 48, 48, requires_grad=True)
    # the box covers the left half of the mouth region only
    box = torch.tensor([[0.0, 0.0, 24.0, 48.0]])
    identity = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]]])
    paste_mouth(face, real, box, identity).sum().backward()
    assert float(real.grad[:, :, :24].abs().sum()) == 0
    assert float(real.grad[:, :, 24:].min()) == 1
    assert float(face.grad.abs().sum()) > 0


def test_syncnets_crop_of_a_box_that_stands_still() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 200, 240, 3)).astype(np.uint8)
    boxes = np.tile(np.float32([60, 40, 110, 100]), (9, 1))
    crops = np.stack(list(syncnet_crops(frames, boxes)))
    # half the longer side is 30, the centre (85, 70): rows 40..123, columns 43..126; the ends of the median see zeros
    middle = cv2.resize(frames[4, 40:124, 43:127], (224, 224))
    np.testing.assert_array_equal(crops[4], middle)


def test_syncnets_crop_beyond_the_frame_is_grey() -> None:
    frames = np.full((9, 100, 100, 3), 7, np.uint8)
    crops = np.stack(list(syncnet_crops(frames, np.tile(np.float32([0, 0, 60, 60]), (9, 1)))))
    assert crops[4, 100, 0].tolist() == [110] * 3
    assert crops[4, 100, 223].tolist() == [7] * 3


def test_syncnets_crop_is_the_peers(shared: Path) -> None:
    track = reference(shared, "syncnet")
    boxes = np.asarray(track["pipe.track_bbox"], np.float32)
    crops = np.stack(list(syncnet_crops(formula(shared).video(130, 180, 240), boxes)))
    wanted = track["pipe.crops"].astype(int)
    assert np.abs(crops[[0, 7, 64, 129]].astype(int) - wanted).max() <= 1
    np.testing.assert_allclose(crops.mean((1, 2)), track["pipe.crop_mean"], atol=0.02)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_frames", [7, 12, 13, 40])
def test_syncnets_median_is_the_peers_for_clips_shorter_than_its_window_too(n_frames: int) -> None:
    rng = np.random.default_rng(n_frames)
    frames = rng.integers(0, 256, (n_frames, 90, 120, 3), np.uint8)
    centres, half = rng.uniform((50, 40), (70, 50), (n_frames, 2)), rng.uniform(8, 20, (n_frames, 1))
    boxes = np.hstack([centres - half, centres + half]).astype(np.float32)
    # the median of SyncNet's run_pipeline.py by hand: of 13 values, zeros beyond the ends
    padded = np.pad(boxes.astype(np.float64), ((6, 6), (0, 0)))
    by_hand = []
    for t in range(n_frames):
        window = padded[t : t + 13]
        size = np.median(np.maximum(window[:, 2] - window[:, 0], window[:, 3] - window[:, 1]) / 2)
        by_hand.append((size, *(np.median((window[:, k] + window[:, k + 2]) / 2) for k in (0, 1))))
    crops = np.stack(list(syncnet_crops(frames, boxes)))
    middle = n_frames // 2
    size, x, y = by_hand[middle]
    pad = int(size * 1.8)
    grey = np.pad(frames[middle], ((pad, pad), (pad, pad), (0, 0)), constant_values=110)
    rows = slice(int(y + pad - size), int(y + pad + size * 1.8))
    columns = slice(int(x + pad - size * 1.4), int(x + pad + size * 1.4))
    np.testing.assert_array_equal(crops[middle], cv2.resize(grey[rows, columns], (224, 224)))


def test_too_few_frames_for_syncnets_median() -> None:
    with pytest.raises(ValueError, match="too few"):
        next(syncnet_crops(np.zeros((6, 50, 50, 3), np.uint8), np.tile(np.float32([0, 0, 9, 9]), (6, 1))))
