"""Mouths: phones to shapes by hand-made utterances, and shapes to pictures by what a viewer would look for."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest
from small_recipes import LAYOUTS, recipe_of

from synctalk.corpora.synthetic.grammar import WORDS, draw_sentence, homophene_groups
from synctalk.corpora.synthetic.motion import Motion
from synctalk.corpora.synthetic.perform import draw_recording, perform
from synctalk.corpora.synthetic.render import render, track
from synctalk.corpora.synthetic.seeds import generator
from synctalk.corpora.synthetic.speech import Voice, speak
from synctalk.corpora.synthetic.stage import Stage, build_stage
from synctalk.corpora.synthetic.visemes import VISEMES, Phone, Shape, mouth_curves, viseme_sequence, visemes_of
from synctalk.timebase import FPS

COLUMN = {field.name: number for number, field in enumerate(fields(Shape))}
PHONE_S = 0.12
"""Length of every phone of an utterance made by hand: three frames."""
LOOKS = ("p", "f", "th", "s", "l", "sh", "w", "aa", "iy", "ao")
"""Visemes that must be told apart at a glance."""


def utterance(*names: str, length_s: float = PHONE_S) -> list[Phone]:
    return [Phone(name, k * length_s, (k + 1) * length_s, 0) for k, name in enumerate(names)]


def middle(curves: np.ndarray, number: int) -> np.ndarray:
    """The shape in the middle of phone `number` of `utterance`."""
    return curves[round((number + 0.5) * PHONE_S * FPS - 0.5)]


def curves_of(*names: str) -> np.ndarray:
    return mouth_curves(utterance(*names), round(len(names) * PHONE_S * FPS))


# --- words ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("accent", sorted({accent for name in LAYOUTS for accent in recipe_of(name).accents}))
def test_the_grammar_has_homophenes_in_every_accent(accent: str) -> None:
    def pronounce(word: str) -> list[str]:
        return [phone.name for phone in speak((word,), Voice(f"{accent}+f2", 160, 50, 50)).phones if phone.word >= 0]

    groups = homophene_groups(pronounce)
    print(accent, groups)
    assert groups == [("b", "p"), ("bat", "pat"), ("bin", "pin")]
    for group in groups:
        assert len({viseme_sequence(pronounce(word)) for word in group}) == 1
        assert len({tuple(pronounce(word)) for word in group}) == len(group)


def test_sentences_follow_the_grammar_and_use_every_word() -> None:
    sentences = [draw_sentence(generator("sentence", k)) for k in range(400)]
    assert {word for sentence in sentences for word in sentence} == set(WORDS)
    assert {len(sentence) for sentence in sentences} == {4, 5, 6}
    assert draw_sentence(generator("sentence", 7)) == sentences[7]
    assert len(set(sentences)) > 380


# --- curves --------------------------------------------------------------------------------------------------------
def test_homophenes_of_equal_timing_have_equal_curves() -> None:
    assert np.array_equal(curves_of("_", "b", "'I", "n", "_"), curves_of("_", "p", "'I", "n", "_"))
    assert np.array_equal(curves_of("_", "p", "'a", "t", "_"), curves_of("_", "m", "a", "t", "_"))
    assert not np.array_equal(curves_of("_", "b", "'I", "n", "_"), curves_of("_", "b", "'a", "n", "_"))


def test_stress_changes_no_viseme() -> None:
    assert visemes_of("'aI") == visemes_of(",aI") == visemes_of("aI") == ("aa", "iy")
    assert visemes_of("_") == visemes_of("_:") == ("rest",)


@pytest.mark.parametrize("vowel", ["A:", "i:", "u:", "a", "O:", "@"])
@pytest.mark.parametrize("stop", ["p", "b", "m"])
def test_lips_close_for_p_b_m_beside_any_vowel(stop: str, vowel: str) -> None:
    closed = middle(curves_of("_", vowel, stop, vowel, "_"), 2)
    assert closed[COLUMN["aperture"]] < 0.01
    assert closed[COLUMN["press"]] > 0.65


@pytest.mark.parametrize(
    ("phone", "part", "low", "high"),
    [
        ("A:", "aperture", 0.7, 1.0),
        ("a", "aperture", 0.6, 1.0),
        ("i:", "aperture", 0.0, 0.4),
        ("i:", "width", 0.6, 1.0),
        ("u:", "width", -1.0, -0.6),
        ("w", "width", -1.0, -0.8),
        ("w", "protrusion", 0.8, 1.0),
        ("O:", "protrusion", 0.5, 1.0),
        ("f", "tuck", 0.8, 1.0),
        ("v", "upper_teeth", 0.8, 1.0),
        ("T", "tongue_out", 0.75, 1.0),
        ("D", "tongue_out", 0.75, 1.0),
        ("l", "tongue", 0.6, 1.0),
        ("s", "upper_teeth", 0.6, 1.0),
        ("S", "protrusion", 0.6, 1.0),
        ("_", "aperture", 0.0, 0.2),
    ],
)
def test_phones_look_as_they_should_between_neutral_vowels(phone: str, part: str, low: float, high: float) -> None:
    assert low <= middle(curves_of("@", phone, "@"), 1)[COLUMN[part]] <= high


def test_diphthongs_pass_through_both_ends() -> None:
    curves = mouth_curves([Phone("aI", 0.0, 0.4, 0)], 10)
    width, aperture = curves[:, COLUMN["width"]], curves[:, COLUMN["aperture"]]
    assert aperture[1] > 0.7 > 0.5 > aperture[8]
    assert width[8] > 0.6 > 0.2 > width[1]


def test_neighbours_colour_a_consonant_and_more_so_a_weak_one() -> None:
    """Cohen and Massaro's coarticulation: lips are rounder for /t/ in "too" than in "tea", and much less so for /s/."""

    def change(consonant: str) -> float:
        spread = middle(curves_of("i:", consonant, "i:"), 1)[COLUMN["width"]]
        rounded = middle(curves_of("u:", consonant, "u:"), 1)[COLUMN["width"]]
        return float(spread - rounded)

    assert change("t") > 0.25
    assert change("t") > 1.5 * change("s") > 0


def test_curves_are_smooth_and_stay_in_range() -> None:
    for number in range(6):
        recipe = recipe_of(LAYOUTS[number % 3])
        shapes = perform(recipe, number, 0, 0).shapes
        weights = np.delete(shapes, COLUMN["width"], 1)
        assert weights.min() >= 0
        assert weights.max() <= recipe.articulation.high
        assert np.abs(shapes[:, COLUMN["width"]]).max() <= recipe.articulation.high
        assert np.isfinite(shapes).all()
        assert shapes.dtype == np.float32
        # at rest at both ends
        assert shapes[[0, -1], COLUMN["aperture"]].max() < 0.15


def test_lips_close_in_every_spoken_p_b_m() -> None:
    n_closures = 0
    for name in LAYOUTS:
        for speaker in range(4):
            performance = perform(recipe_of(name), speaker, 0, 0)
            times = (np.arange(len(performance.shapes)) + 0.5) / FPS
            for phone in performance.phones:
                inside = (times >= phone.start_s) & (times < phone.end_s)
                if visemes_of(phone.name) == ("p",) and phone.end_s - phone.start_s >= 0.05:
                    n_closures += 1
                    assert performance.shapes[inside, COLUMN["aperture"]].min() < 0.03, (name, speaker, phone)
    assert n_closures > 10


# --- pictures ------------------------------------------------------------------------------------------------------
def still(n_frames: int) -> Motion:
    zero = np.zeros(n_frames, np.float32)
    return Motion(yaw=zero, pitch=zero, roll=zero, dx=zero, dy=zero, zoom=zero + 1, lids=zero)


def painted(stage: Stage, shapes: list[Shape]) -> np.ndarray:
    """A face that holds still in every one of `shapes`, [n, S, S, 3]."""
    return np.stack(list(render(stage, np.array([astuple(s) for s in shapes], np.float32), still(len(shapes)))))


def mouths(stage: Stage, frames: np.ndarray) -> np.ndarray:
    """Square grey cuts around the mouth, 48 x 48 as a lip reader sees them."""
    points = track(stage, still(1)).landmarks[0]
    centre, half = points[3:].mean(0), 0.85 * np.linalg.norm(points[4] - points[3])
    (x1, y1), (x2, y2) = (np.round(centre + half * np.array(to)).astype(int) for to in ((-1, -0.7), (1, 1.3)))
    return np.stack([cv2.resize(cv2.cvtColor(f[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY), (48, 48)) for f in frames])


@pytest.fixture(scope="module", params=LAYOUTS)
def stage(request: pytest.FixtureRequest) -> Stage:
    return build_stage(draw_recording(recipe_of(request.param), 1, 0))


def changed(stage: Stage, **colours: tuple[float, float, float]) -> Stage:
    """The same mouth with lips of another colour."""
    identity = replace(stage.recording.identity, lips=replace(stage.recording.identity.lips, **colours))
    return replace(stage, mouth=replace(stage.mouth, identity=identity))


def lip_masks(stage: Stage, shapes: list[Shape]) -> np.ndarray:
    """Where the lips are: pixels that change with their colour, bool [n, S, S]."""
    black, white = (painted(changed(stage, colour=(v, v, v)), shapes) for v in (0.0, 255.0))
    return np.abs(white.astype(int) - black).max(-1) > 60


def extent(mask: np.ndarray, axis: int) -> int:
    """Pixels from the first to the last row (axis 1) or column (axis 0) of a mask."""
    found = np.flatnonzero(mask.any(axis))
    return int(found[-1] - found[0] + 1)


def test_an_open_mouth_is_taller_and_shows_the_dark_inside(stage: Stage) -> None:
    shapes = [Shape(aperture=v) for v in (0.0, 0.25, 0.5, 0.75, 1.0)]
    frames, lips = painted(stage, shapes), lip_masks(stage, shapes)
    heights = [extent(mask, 1) for mask in lips]
    assert all(b > a for a, b in pairwise(heights))
    assert heights[-1] > 1.8 * heights[0]
    dark = [int((mouth < 45).sum()) for mouth in mouths(stage, frames)]
    assert dark[-1] > dark[0] + 100
    # the rest of the head does not speak
    quarter = stage.recording.size // 4
    assert np.array_equal(frames[0][:quarter], frames[-1][:quarter])


def test_closed_lips_leave_no_gap_but_their_line(stage: Stage) -> None:
    for shape in (VISEMES["p"].shape, VISEMES["rest"].shape):
        mask = lip_masks(stage, [shape])[0]
        columns = np.flatnonzero(mask.any(0))
        inner = columns[len(columns) // 5 : -len(columns) // 5]
        assert all(extent(mask[:, x : x + 1], 1) - mask[:, x].sum() <= 1 for x in inner)


def test_spread_lips_are_wide_and_rounded_ones_narrow(stage: Stage) -> None:
    rest, spread, pursed = (extent(mask, 0) for mask in lip_masks(stage, [Shape(), Shape(width=1), Shape(width=-1)]))
    assert spread > 1.08 * rest
    assert pursed < 0.72 * rest


def test_lips_are_as_wide_as_the_corners_say(stage: Stage) -> None:
    corners = track(stage, still(1)).landmarks[0, 3:]
    mask = lip_masks(stage, [Shape()])[0]
    assert 0.95 < np.linalg.norm(corners[1] - corners[0]) / 0.86 / extent(mask, 0) < 1.12


def test_lips_teeth_and_tongue_are_visible(stage: Stage) -> None:
    """Each part against the same mouth without it, in the grey cut of a lip reader."""
    pairs = {
        "teeth": (Shape(aperture=0.3, upper_teeth=1.0, lower_teeth=1.0), Shape(aperture=0.3)),
        "tongue": (Shape(aperture=0.5, tongue=1.0, tongue_out=0.35), Shape(aperture=0.5)),
        "lip on teeth": (VISEMES["f"].shape, replace(VISEMES["f"].shape, tuck=0.0, upper_teeth=0.0)),
        "press": (VISEMES["p"].shape, Shape()),
    }
    for name, (shape, without) in pairs.items():
        seen = mouths(stage, painted(stage, [shape, without])).astype(int)
        assert (np.abs(seen[0] - seen[1]) > 12).sum() > 40, name
    brighter = mouths(stage, painted(stage, list(pairs["teeth"]))).astype(int)
    assert (brighter[0] - brighter[1]).max() > 60


def test_visemes_are_told_apart_by_their_pictures(stage: Stage) -> None:
    """By the root mean squared difference of grey mouths, 0..255: the nearest two of ten visemes, and /p/ and /a/."""
    seen = mouths(stage, painted(stage, [VISEMES[name].shape for name in LOOKS])).astype(float)
    distance = {
        pair: float(np.sqrt(((seen[LOOKS.index(pair[0])] - seen[LOOKS.index(pair[1])]) ** 2).mean()))
        for pair in combinations(LOOKS, 2)
    }
    nearest = min(distance, key=distance.__getitem__)
    print(nearest, distance[nearest], "p-aa", distance["p", "aa"])
    assert distance[nearest] > 3
    assert distance["p", "aa"] > 15
