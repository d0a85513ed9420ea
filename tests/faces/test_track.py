"""Tracks from detections whose answer is known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synctalk.errors import ClipError, Reason
from synctalk.faces.track import Detection, FaceTrack, TrackParams, choose_tracks, iou, shot_changes, smooth, thumbnail

PARAMS = TrackParams(
    detect_every=1,
    sure_iou=0.8,
    sure_margin=0.1,
    max_gap_s=0.4,
    smooth_frames=1,
    shot_threshold=12.0,
    several_faces="reject",
    min_face_px=20,
    min_cover=0.9,
)


def face(x: float, y: float = 50, width: float = 40) -> Detection:
    box = np.array([x, y, x + width, y + width * 1.2], np.float32)
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    return Detection(box, box[:2] + points * (box[2:] - box[:2]), 0.9)


def thumbnails(frames: np.ndarray) -> np.ndarray:
    return np.stack([thumbnail(frame) for frame in frames])


def test_iou_by_hand() -> None:
    a, b = np.array([0, 0, 10, 10], np.float32), np.array([5, 0, 15, 10], np.float32)
    assert iou(a, b) == pytest.approx(50 / 150)
    assert iou(a, a) == 1.0
    assert iou(a, a + 20) == 0.0


def test_a_moving_face_is_followed_and_gaps_are_interpolated() -> None:
    sampled = [(t, [] if 8 <= t < 14 else [face(100 + 2 * t)]) for t in range(30)]
    (track,) = choose_tracks(sampled, [], 30, PARAMS, 25)
    assert (track.start, len(track)) == (0, 30)
    np.testing.assert_allclose(track.boxes[:, 0], 100 + 2 * np.arange(30), atol=1e-4)
    np.testing.assert_allclose(track.landmarks[10, 2], face(120).landmarks[2], atol=1e-4)


def test_sampling_every_fourth_frame_gives_the_same_boxes_of_a_steady_motion() -> None:
    params = replace(PARAMS, detect_every=4)
    sampled = [(t, [face(100 + t)]) for t in [*range(0, 30, 4), 29]]
    (track,) = choose_tracks(sampled, [], 30, params, 25)
    np.testing.assert_allclose(track.boxes[:, 0], 100 + np.arange(30), atol=1e-4)


def test_a_gap_beyond_the_limit_loses_the_face() -> None:
    sampled = [(t, [] if 8 <= t < 22 else [face(100)]) for t in range(30)]
    with pytest.raises(ClipError) as error:
        choose_tracks(sampled, [], 30, PARAMS, 25)
    assert error.value.reason in (Reason.FACE_LOST, Reason.NO_FACE)


def test_a_short_flicker_is_no_face() -> None:
    sampled = [(t, [face(100)] if t in (3, 9) else []) for t in range(40)]
    with pytest.raises(ClipError) as error:
        choose_tracks(sampled, [], 40, PARAMS, 25)
    assert error.value.reason == Reason.NO_FACE


def test_no_detection_and_too_small_ones_are_no_face() -> None:
    for sampled in ([(t, []) for t in range(20)], [(t, [face(10, width=12)]) for t in range(20)]):
        with pytest.raises(ClipError) as error:
            choose_tracks(sampled, [], 20, PARAMS, 25)
        assert error.value.reason == Reason.NO_FACE


def test_two_people_are_rejected_or_the_larger_is_taken() -> None:
    sampled = [(t, [face(10, width=40), face(200, width=60)]) for t in range(30)]
    with pytest.raises(ClipError) as error:
        choose_tracks(sampled, [], 30, PARAMS, 25)
    assert error.value.reason == Reason.SEVERAL_FACES
    (largest,) = choose_tracks(sampled, [], 30, replace(PARAMS, several_faces="largest"), 25)
    assert float(largest.boxes[0, 0]) == 200


def test_the_steadiest_face_is_large_and_stays_in_its_place() -> None:
    # the larger face wanders by three times its width, the smaller one is nearly as large and does not move
    sampled = [(t, [face(10 + 6 * t, width=60), face(400, width=50)]) for t in range(30)]
    params = replace(PARAMS, several_faces="steadiest")
    (steady,) = choose_tracks(sampled, [], 30, params, 25)
    assert float(steady.boxes[0, 0]) == 400
    # of two that stay where they are, the larger one; a small one in the background never
    sampled = [(t, [face(10 + 0.1 * t, width=60), face(400, width=50)]) for t in range(30)]
    (large,) = choose_tracks(sampled, [], 30, params, 25)
    assert float(large.boxes[0, 0]) == 10


def test_all_people_who_are_there_together_are_kept_and_passers_by_are_not() -> None:
    faces = [face(10), face(200, width=50), face(400)]
    sampled = [(t, faces[: 2 + (8 <= t < 20)]) for t in range(30)]
    params = replace(PARAMS, several_faces="all")
    tracks = choose_tracks(sampled, [], 30, params, 25)
    assert sorted(float(track.boxes[0, 0]) for track in tracks) == [10, 200]
    assert {len(track) for track in tracks} == {30}


def test_the_longest_usable_shot_is_kept() -> None:
    def clip(*shots: tuple[int, list[Detection]]) -> tuple[list[tuple[int, list[Detection]]], list[int]]:
        each = [found for length, found in shots for _ in range(length)]
        return list(enumerate(each)), list(np.cumsum([length for length, _ in shots])[:-1])

    one, two = [face(100)], [face(100), face(300)]
    for shots, start, length in (
        ([(20, one), (30, one)], 20, 30),
        ([(30, []), (20, one)], 30, 20),  # nobody in the longer one
        ([(30, two), (20, one)], 30, 20),  # two people in it
        ([(25, one), (25, one)], 0, 25),  # the earlier of equally long ones
    ):
        sampled, cuts = clip(*shots)
        (track,) = choose_tracks(sampled, cuts, len(sampled), PARAMS, 25)
        assert (track.start, len(track)) == (start, length)
    sampled, cuts = clip((30, two), (20, []))
    with pytest.raises(ClipError) as error:
        choose_tracks(sampled, cuts, 50, PARAMS, 25)
    assert error.value.reason == Reason.SEVERAL_FACES  # as the longest shot has it


def test_a_false_find_that_flickers_all_along_is_no_second_person() -> None:
    sampled = [(t, [face(100), *([face(300)] if t % 8 == 0 else [])]) for t in range(40)]
    (track,) = choose_tracks(sampled, [], 40, PARAMS, 25)
    assert float(track.boxes[0, 0]) == 100


def test_a_passer_by_does_not_matter() -> None:
    sampled = [(t, [face(10), *([face(200)] if 5 <= t < 9 else [])]) for t in range(30)]
    (track,) = choose_tracks(sampled, [], 30, PARAMS, 25)
    assert len(track) == 30


def test_tracks_do_not_cross_a_shot_change() -> None:
    sampled = [(t, [face(100)]) for t in range(50)]
    (track,) = choose_tracks(sampled, [20], 50, PARAMS, 25)
    assert (track.start, len(track)) == (20, 30)


def test_shot_changes_are_found_and_flicker_is_not_one() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    frames = np.stack([first] * 12 + [second] * 12)
    assert shot_changes(thumbnails(frames), 12.0) == [12]
    flicker = np.stack([first if t % 2 else second for t in range(24)])
    assert shot_changes(thumbnails(flicker), 12.0) == []


def test_smoothing_averages_within_the_clip_only() -> None:
    boxes = np.zeros((5, 4), np.float32)
    boxes[2] = 3
    track = smooth(FaceTrack(0, boxes, np.zeros((5, 5, 2), np.float32)), 3)
    np.testing.assert_allclose(track.boxes[:, 0], [0, 1, 1, 1, 0], atol=1e-6)
