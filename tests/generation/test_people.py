"""Who is dubbed: boxes that are put there, and who is who."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk.faces.track import ANY_FOOTAGE, Detection
from synctalk.generation.people import Person, Who, choose, people

FPS, EVERY = 25, ANY_FOOTAGE.detect_every


def face(x: float, width: float = 60.0) -> Detection:
    box = np.array([x, 40, x + width, 40 + width], np.float32)
    return Detection(box, np.tile(box[:2] + width / 2, (5, 1)), 0.9)


def seen(n_frames: int, *faces: tuple[Detection, range]) -> list[Person]:
    """People of a shot in which each face is there during its frames."""
    numbers = [*range(0, n_frames, EVERY), n_frames - 1]
    return people([(n, [d for d, when in faces if n in when]) for n in numbers], n_frames, ANY_FOOTAGE, FPS)


def lefts(chosen: list[Person]) -> list[float]:
    return [float(person[0].boxes[0, 0]) for person in chosen]


ALWAYS = range(100)
LEFT, MIDDLE, RIGHT = face(10), face(100, 90), face(220, 70)


@pytest.mark.parametrize(
    ("who", "expected"), [("largest", [100]), ("all", [10, 100, 220]), (1, [10]), (2, [100]), (3, [220]), (4, [])]
)
def test_faces_are_counted_from_left_to_right(who: Who, expected: list[float]) -> None:
    found = seen(100, (RIGHT, ALWAYS), (LEFT, ALWAYS), (MIDDLE, ALWAYS))
    assert sorted(lefts(choose(found, who))) == expected


def test_nobody_is_nobody() -> None:
    assert seen(100) == []
    assert choose([], "largest") == choose([], "all") == choose([], 1) == []


def test_a_face_that_is_lost_and_comes_back_is_one_person_in_two_stretches() -> None:
    (person,) = seen(100, (LEFT, range(40)), (face(30), range(70, 100)))
    assert [(track.start, track.start + len(track)) for track in person] == [(0, 42), (70, 100)]


def test_a_face_that_comes_back_elsewhere_is_the_one_that_is_missing() -> None:
    found = seen(100, (LEFT, range(40)), (RIGHT, ALWAYS), (MIDDLE, range(70, 100)))
    assert sorted(len(person) for person in found) == [1, 2]
    assert lefts(choose(found, 1)) == [10]
    assert len(choose(found, 1)[0]) == 2


def test_someone_far_smaller_is_someone_else() -> None:
    found = seen(100, (face(100, 150), range(50)), (face(120, 40), range(70, 100)))
    assert len(found) == 2
    assert lefts(choose(found, "largest")) == [100]


def test_a_large_face_for_a_moment_is_not_the_speaker() -> None:
    found = seen(100, (LEFT, ALWAYS), (face(150, 120), range(30, 50)))
    assert lefts(choose(found, "largest")) == [10]
    assert lefts(choose(found, 1)) == [10]
    assert choose(found, 2) == []
    assert len(choose(found, "all")) == 2


def test_what_looks_like_a_face_for_a_moment_is_none() -> None:
    assert len(seen(100, (LEFT, ALWAYS), (RIGHT, range(30, 34)))) == 1
    assert len(seen(8, (LEFT, range(8)))) == 1  # a shot that is shorter than that
