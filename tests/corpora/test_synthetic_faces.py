"""Rendered faces and their published tracks: by colouring one part of a face, and by detectors that saw real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from small_recipes import LAYOUTS, recipe_of

from synctalk.corpora.synthetic.eyes import LID_LEVELS
from synctalk.corpora.synthetic.perform import Performance, draw_recording, frames_of, perform, track_of
from synctalk.corpora.synthetic.plan import plan
from synctalk.corpora.synthetic.recipe import Range
from synctalk.corpora.synthetic.render import DrawnTrack, render
from synctalk.corpora.synthetic.stage import build_stage
from synctalk.faces.detect import DetectorParams, make_detector
from synctalk.faces.track import Detection, iou
from synctalk.media import read_video, write_video

N_SPEAKERS = 4
"""Speakers of each corpus whose landmarks are looked at."""


def frames_with(name: str, speaker: int, iris: float, lips: float) -> tuple[np.ndarray, Performance, DrawnTrack]:
    """A few frames of a speaker whose irises and lips have these grey levels; frame 0 is at rest, lids open."""
    recipe = recipe_of(name)
    performance = perform(recipe, speaker, 0, 0)
    motion = replace(performance.motion, lids=np.zeros_like(performance.motion.lids))
    recording = draw_recording(recipe, speaker, 0)
    identity = recording.identity
    painted = replace(identity, iris=(iris,) * 3, lips=replace(identity.lips, colour=(lips,) * 3))
    stage = build_stage(replace(recording, identity=painted))
    shapes = np.zeros_like(performance.shapes)
    frames = np.stack(list(render(stage, shapes, motion)))[::12]
    return frames, performance, track_of(stage, replace(performance, motion=motion))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("speaker", range(N_SPEAKERS))
def test_landmarks_lie_on_eyes_and_on_the_corners_of_the_mouth(name: str, speaker: int) -> None:
    dark, _, track = frames_with(name, speaker, iris=20, lips=0)
    eyes_changed = np.abs(frames_with(name, speaker, iris=230, lips=0)[0].astype(int) - dark).max(-1) > 40
    lips_changed = np.abs(frames_with(name, speaker, iris=20, lips=255)[0].astype(int) - dark).max(-1) > 40
    scale = recipe_of(name).size / 160
    for marks, eyes, lips in zip(track.landmarks[::12], eyes_changed, lips_changed, strict=True):
        y, x = np.nonzero(eyes)
        middle = marks[:2, 0].mean()
        for eye, side in zip(marks[:2], (x < middle, x >= middle), strict=True):
            # pupils and glints do not change, and the gaze wanders a little
            assert np.hypot(x[side].mean() - eye[0], y[side].mean() - eye[1]) < 2.5 * scale
        y, x = np.nonzero(lips)
        for corner in marks[3:]:
            assert np.hypot(x - corner[0], y - corner[1]).min() < 1.5
        # the corners are where detectors see them, a little inside the lips' ends
        assert 0 < marks[3, 0] - x.min() < 5 * scale
        assert 0 < x.max() - marks[4, 0] < 5 * scale
        nose = marks[2]
        assert marks[:2, 1].max() < nose[1] < marks[3:, 1].min()
        assert marks[3, 0] < nose[0] < marks[4, 0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_boxes_hold_the_face_and_stay_in_the_frame(name: str) -> None:
    recipe = recipe_of(name)
    for speaker in range(6):
        stage = build_stage(draw_recording(recipe, speaker, 0))
        for number in range(3):
            performance = perform(recipe, speaker, 0, number)
            track = track_of(stage, performance)
            low, high = track.boxes[:, None, :2], track.boxes[:, None, 2:]
            assert ((track.landmarks > low) & (track.landmarks < high)).all()
            assert track.boxes.min() > 0
            assert track.boxes.max() < recipe.size
            assert len(track.boxes) == len(track.landmarks) == len(performance.shapes)
            steps = np.abs(np.diff(track.landmarks, axis=0)).max()
            assert 0.05 < steps < 6 * recipe.size / 160


def test_the_track_turns_with_the_head_and_not_with_the_mouth() -> None:
    recipe = recipe_of("lrs3")
    stage, performance = build_stage(draw_recording(recipe, 0, 0)), perform(recipe, 0, 0, 0)
    flat = {name: np.zeros_like(performance.motion.yaw) for name in ("yaw", "pitch", "roll", "dx", "dy")}
    still = replace(performance.motion, **flat, zoom=np.ones_like(performance.motion.zoom))
    points = track_of(stage, replace(performance, motion=still)).landmarks
    assert np.array_equal(points, np.repeat(points[:1], len(points), 0))  # though the mouth speaks
    right = track_of(stage, replace(performance, motion=replace(still, yaw=flat["yaw"] + 15))).landmarks[0]
    assert right[2, 0] - points[0, 2, 0] > right[:2, 0].mean() - points[0, :2, 0].mean() + 2  # the nose leads
    down = track_of(stage, replace(performance, motion=replace(still, pitch=flat["pitch"] + 8))).landmarks[0]
    assert down[2, 1] > points[0, 2, 1] + 1
    rolled = track_of(stage, replace(performance, motion=replace(still, roll=flat["roll"] + 10))).landmarks[0]

    def slant(marks: np.ndarray) -> float:
        return float(np.degrees(np.arctan2(*(marks[1] - marks[0])[::-1])))

    assert abs(slant(rolled) - slant(points[0]) - 10) < 0.5


def test_blinks_close_the_eyes() -> None:
    recipe = replace(recipe_of("lrs2"), liveliness=Range(low=0, high=0))
    stage, performance = build_stage(draw_recording(recipe, 1, 0)), perform(recipe, 1, 0, 0)
    lids = np.linspace(0, 1, LID_LEVELS, dtype=np.float32)
    motion = type(performance.motion)(
        **{name: values[:LID_LEVELS] for name, values in vars(performance.motion).items() if name != "lids"}, lids=lids
    )
    frames = np.stack(list(render(stage, performance.shapes[:1].repeat(LID_LEVELS, 0), motion))).astype(int)
    eye = np.round(track_of(stage, replace(performance, motion=motion)).landmarks[0, 0]).astype(int)
    region = frames[:, eye[1] - 4 : eye[1] + 5, eye[0] - 6 : eye[0] + 7].reshape(LID_LEVELS, -1)
    change = np.abs(region - region[0]).mean(1)
    assert (np.diff(change) > 0).all()
    assert change[-1] > 10
    # everyone blinks now and then
    blinks = [perform(recipe, speaker, 0, number).motion.lids.max() for speaker in range(4) for number in range(4)]
    assert 0.2 < np.mean(np.array(blinks) == 1) < 0.95


# --- detectors -----------------------------------------------------------------------------------------------------
DETECTED_SPEAKERS = 8
FRAMES_OF_CLIP = 5
LIMIT_MEAN, LIMIT_ANY = 0.05, 0.14
"""Distance of published landmarks from SCRFD's, as a part of the box's width (about 80 pixels in LRS2): the mean of
each of the five, and the largest of all."""


@dataclass(frozen=True)
class Seen:
    """A decoded frame, its published box and landmarks, and whether its clip begins with it (the mouth at rest)."""

    frame: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    at_rest: bool


def seen_frames(folder: Path) -> Iterator[Seen]:
    """Frames of encoded clips of many speakers of the three corpora."""
    for name in LAYOUTS:
        recipe = recipe_of(name)
        recordings = {r.speaker: r for r in plan(recipe)}
        for speaker in list(recordings)[:: max(1, len(recordings) // DETECTED_SPEAKERS)][:DETECTED_SPEAKERS]:
            stage = build_stage(draw_recording(recipe, speaker, 0))
            performance = perform(recipe, speaker, 0, 0)
            path = folder / "clip.mp4"
            write_video(path, frames_of(stage, performance), crf=recipe.crf, preset=recipe.preset)
            track, frames = track_of(stage, performance), read_video(path).frames
            for t in np.linspace(0, len(frames) - 1, FRAMES_OF_CLIP).astype(int):
                yield Seen(frames[t], track.boxes[t], track.landmarks[t], at_rest=t == 0)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    return list(seen_frames(tmp_path_factory.mktemp("clips")))


def detect(shared: Path, kind: str, file: str, min_score: float, seen: list[Seen]) -> list[list[Detection]]:
    params = DetectorParams(weights=str(shared / "models" / file), det_size=320, min_score=min_score)
    detector = make_detector(kind, params)
    return [faces for one in seen for faces in detector([one.frame])]


def test_scrfd_finds_one_face_where_it_was_published(shared: Path, seen: list[Seen]) -> None:
    found = detect(shared, "insightface", "det_500m.onnx", 0.5, seen)
    assert np.mean([len(faces) == 1 for faces in found]) >= 0.99
    pairs = [(one, faces[0]) for one, faces in zip(seen, found, strict=True) if len(faces) == 1]
    assert np.mean([iou(face.box, one.box) for one, face in pairs]) >= 0.8
    far = np.array([np.linalg.norm(f.landmarks - o.landmarks, axis=-1) / (f.box[2] - f.box[0]) for o, f in pairs])
    assert far.mean(0).max() < LIMIT_MEAN
    assert far.max() < LIMIT_ANY
    # between the published corners, at rest, in the face box that generators see
    mouths = [
        96 * np.linalg.norm(one.landmarks[4] - one.landmarks[3]) / (face.box[2] - face.box[0])
        for one, face in pairs
        if one.at_rest
    ]
    print(f"mouth {min(mouths):.1f} px and more, landmarks {far.mean(0).round(3)} {far.max():.3f}")
    assert min(mouths) >= 35


def test_yunet_finds_one_face(shared: Path, seen: list[Seen]) -> None:
    found = detect(shared, "yunet", "face_detection_yunet_2023mar.onnx", 0.6, seen)
    assert np.mean([len(faces) == 1 for faces in found]) >= 0.99
    assert np.mean([iou(f[0].box, one.box) for one, f in zip(seen, found, strict=True) if f]) >= 0.7
