"""Which frames are looked at: known by construction, with a detector that knows where faces are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces.test_track import PARAMS, face

from synctalk.faces.detect import make_detector
from synctalk.faces.extract import CropParams
from synctalk.faces.sample import sample_faces, sample_frames
from synctalk.faces.track import Detection, choose_tracks, iou, shot_changes, thumbnail
from synctalk.media import read_video
from synctalk.params.read import load

FIFTH = replace(PARAMS, detect_every=5, sure_iou=0.8, sure_margin=0.1)


class Known:
    """Frames are their numbers; faces are a function of them. Remembers what it was asked for."""

    min_score = 0.5

    def __init__(self, faces: Callable[[int], list[Detection]]) -> None:
        self.faces, self.asked = faces, []

    def __call__(self, frames: Sequence[int]) -> list[list[Detection]]:
        self.asked += [int(number) for number in frames]
        return [self.faces(int(number)) for number in frames]


def asked(faces: Callable[[int], list[Detection]], n_frames: int = 41, cuts: tuple[int, ...] = ()) -> set[int]:
    """Frames that were looked at beyond every fifth; each is looked at once, and comes back in its place."""
    detector = Known(faces)
    sampled = sample_faces(np.arange(n_frames), cuts, detector, FIFTH)
    assert [number for number, _ in sampled] == sorted(set(detector.asked))
    assert len(detector.asked) == len(sampled)
    assert all(len(found) == len(faces(number)) for number, found in sampled)
    return set(detector.asked) - set(sample_frames(n_frames, cuts, 5))


def test_every_kth_frame_of_each_shot_and_its_last_are_looked_at() -> None:
    assert sample_frames(12, [], 5) == [0, 5, 10, 11]
    assert sample_frames(12, [7], 5) == [0, 5, 6, 7, 11]
    assert sample_frames(3, [], 1) == [0, 1, 2]
    assert sample_frames(1, [], 5) == [0]


def test_a_steady_face_and_an_even_motion_need_no_more() -> None:
    assert asked(lambda t: [face(100)]) == set()
    assert asked(lambda t: [face(100 + 0.8 * t)]) == set()  # 4 of 40 pixels in five frames: IoU 0.82
    assert asked(lambda t: []) == set()


def test_where_a_face_begins_or_ends_every_frame_is_looked_at() -> None:
    assert asked(lambda t: [face(100)] if t >= 13 else []) == {11, 12, 13, 14}
    assert asked(lambda t: [face(100)] if t < 13 else []) == {11, 12, 13, 14}
    assert asked(lambda t: [face(10), *([face(200)] if t >= 13 else [])]) == {11, 12, 13, 14}


def test_the_ends_of_a_track_are_then_known_to_the_frame() -> None:
    sampled = sample_faces(np.arange(41), [], Known(lambda t: [face(100)] if 3 <= t < 38 else []), FIFTH)
    (track,) = choose_tracks(sampled, [], 41, replace(FIFTH, min_cover=0.5), 25)
    assert (track.start, track.start + len(track)) == (3, 38)


def test_a_low_score_is_looked_at_from_both_sides() -> None:
    assert asked(lambda t: [replace(face(100), score=0.55 if t == 10 else 0.9)]) == {6, 7, 8, 9, 11, 12, 13, 14}


def test_fast_motion_is_followed_frame_by_frame() -> None:
    # 2 pixels a frame of a face of 40 from frame 10 to 20: samples there overlap by 0.6; its ends are turns
    around = {*range(6, 10), *range(11, 15), *range(16, 20), *range(21, 25)}
    assert asked(lambda t: [face(100 + 2 * max(0, min(t - 10, 10)))]) == around


def test_a_turn_is_followed_where_the_neighbours_foretell_another_place() -> None:
    # to and fro: all neighbouring samples overlap by 0.82, but frame 20 lies 4 pixels beside the middle of 15 and 25
    assert asked(lambda t: [face(100 + 0.8 * min(t, 40 - t))]) == {*range(16, 20), *range(21, 25)}


def test_beside_a_shot_change_every_frame_is_looked_at() -> None:
    assert asked(lambda t: [face(100)], cuts=(20,)) == {16, 17, 18, 21, 22, 23, 24}
    assert asked(lambda t: [], cuts=(20,)) == set()


def test_faces_that_are_too_small_to_count_raise_no_doubt() -> None:
    assert asked(lambda t: [face(10), *([face(200, width=10)] if t % 10 else [])]) == set()


@pytest.mark.parametrize(
    ("kind", "weights"), [("yunet", "face_detection_yunet_2023mar.onnx"), ("insightface", "det_500m.onnx")]
)
@pytest.mark.parametrize(
    "name",
    [
        "grid/swiz3n.mpg",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("hard/vrt1_vfr.mp4", "derived/speaker_change_at_3s.mp4")
        ),
    ],
)
def test_the_projects_own_k_agrees_with_detection_in_every_frame(
    shared: Path, kind: str, weights: str, name: str
) -> None:
    """Mean IoU of 0.95 at least, unsmoothed; the other clips: benchmarks/detection.py."""
    params = load("crop", CropParams, Path(__file__).parents[2] / "params.yaml")
    track = replace(params.track, smooth_frames=1)
    section = replace(params.detectors[kind], weights=str(shared / "models" / weights), det_size=320)
    frames = read_video(shared / "clips" / name).frames
    seen = make_detector(kind, section)(list(frames))
    cuts = shot_changes(np.stack([thumbnail(frame) for frame in frames]), track.shot_threshold)
    assert cuts == ([75] if "change" in name else [])
    (wanted,) = choose_tracks(list(enumerate(seen)), cuts, len(frames), track, 25)
    detector = Known(lambda number: seen[number])
    detector.min_score = section.min_score
    sampled = sample_faces(np.arange(len(frames)), cuts, detector, track)
    (found,) = choose_tracks(sampled, cuts, len(frames), track, 25)
    assert (found.start, len(found)) == (wanted.start, len(wanted))
    assert np.mean([iou(a, b) for a, b in zip(found.boxes, wanted.boxes, strict=True)]) >= 0.95
    assert track.detect_every >= 5
    assert len(detector.asked) < 0.4 * len(frames)
