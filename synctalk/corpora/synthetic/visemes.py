"""From phones to mouth shapes: one target a viseme, blended over time by dominance functions.

Coarticulation follows Cohen and Massaro (Modeling coarticulation in synthetic visual speech, 1993): every phone pulls
the mouth towards its target with a weight that is full inside the phone and falls off exponentially outside it; the
shape is the weighted mean. Lips that must close, or round, have a large weight; tongue consonants leave the lips to
their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from synctalk.timebase import FPS


@dataclass(frozen=True)
class Shape:
    """A mouth. All weights 0..1 but `width`, which is -1 (pursed) .. 1 (spread).

    Attributes:
        aperture: opening between the lips; the jaw follows it.
        width: distance of the corners.
        protrusion: lips pushed forward, fuller.
        press: lips rolled in and pressed together.
        lift: upper lip raised.
        upper_teeth, lower_teeth: how much of them shows.
        tongue: height of its tip, 1 at the upper teeth.
        tongue_out: tip between or before the teeth.
        tuck: lower lip drawn under the upper teeth.
    """

    aperture: float = 0.0
    width: float = 0.0
    protrusion: float = 0.0
    press: float = 0.0
    lift: float = 0.0
    upper_teeth: float = 0.0
    lower_teeth: float = 0.0
    tongue: float = 0.0
    tongue_out: float = 0.0
    tuck: float = 0.0


N_SHAPE = len(fields(Shape))


@dataclass(frozen=True)
class Viseme:
    """What a class of phones looks like.

    Attributes:
        shape: its target.
        weight: dominance over its neighbours; 1 is a vowel.
        reach_s: time in which its pull falls to 1/e outside the phone.
    """

    shape: Shape
    weight: float = 1.0
    reach_s: float = 0.045


VISEMES: Mapping[str, Viseme] = {
    "rest": Viseme(Shape(), weight=1.2, reach_s=0.05),
    "p": Viseme(Shape(press=1.0), weight=9.0, reach_s=0.022),
    "f": Viseme(Shape(aperture=0.1, width=0.1, lift=1.0, upper_teeth=1.0, tuck=1.0), weight=8.0, reach_s=0.022),
    "th": Viseme(
        Shape(aperture=0.32, width=0.15, lift=0.4, upper_teeth=0.5, tongue=0.75, tongue_out=1.0),
        weight=6.0,
        reach_s=0.025,
    ),
    "t": Viseme(
        Shape(aperture=0.26, width=0.15, upper_teeth=0.6, lower_teeth=0.5, tongue=0.5), weight=1.6, reach_s=0.03
    ),
    "s": Viseme(Shape(aperture=0.2, width=0.5, lift=0.3, upper_teeth=1.0, lower_teeth=1.0), weight=3.0, reach_s=0.03),
    "l": Viseme(
        Shape(aperture=0.5, width=0.1, lift=0.2, upper_teeth=0.5, tongue=1.0, tongue_out=0.3),
        weight=3.5,
        reach_s=0.03,
    ),
    "sh": Viseme(
        Shape(aperture=0.3, width=-0.5, protrusion=0.9, lift=0.5, upper_teeth=0.9, lower_teeth=0.8),
        weight=4.0,
        reach_s=0.035,
    ),
    "k": Viseme(Shape(aperture=0.36, upper_teeth=0.3, lower_teeth=0.2, tongue=0.2), weight=0.8, reach_s=0.035),
    "r": Viseme(Shape(aperture=0.24, width=-0.5, protrusion=0.6, upper_teeth=0.3), weight=2.5, reach_s=0.035),
    "w": Viseme(Shape(aperture=0.07, width=-1.0, protrusion=1.0), weight=5.0, reach_s=0.035),
    "aa": Viseme(Shape(aperture=1.0, width=-0.05, upper_teeth=0.25, lower_teeth=0.3)),
    "ae": Viseme(Shape(aperture=0.8, width=0.4, lift=0.3, upper_teeth=0.6, lower_teeth=0.2, tongue=0.15)),
    "eh": Viseme(Shape(aperture=0.55, width=0.3, lift=0.2, upper_teeth=0.5, lower_teeth=0.2, tongue=0.25)),
    "ah": Viseme(Shape(aperture=0.5, width=0.0, upper_teeth=0.25, lower_teeth=0.2, tongue=0.15)),
    "ih": Viseme(Shape(aperture=0.34, width=0.4, lift=0.2, upper_teeth=0.7, lower_teeth=0.3, tongue=0.3)),
    "iy": Viseme(Shape(aperture=0.24, width=1.0, lift=0.4, upper_teeth=0.9, lower_teeth=0.5), weight=1.4),
    "ao": Viseme(Shape(aperture=0.62, width=-0.7, protrusion=0.8, lower_teeth=0.2), weight=1.4),
    "uw": Viseme(Shape(aperture=0.2, width=-0.95, protrusion=1.0), weight=1.8),
    "er": Viseme(Shape(aperture=0.32, width=-0.4, protrusion=0.5, upper_teeth=0.35, lower_teeth=0.2), weight=1.2),
}
"""Exaggerated where a small grey crop hides the cue: the lip on the teeth (f), the tongue between them (th, l)."""

_CONSONANTS = {
    "p": "p b m", "f": "f v", "th": "T D", "t": "t d n t2 t# t[ n- ?", "s": "s z z#", "l": "l l# L l-",
    "sh": "S Z tS dZ", "k": "k g N h x", "r": "r r- *", "w": "w w#", "iy": "j ;",
}  # fmt: skip
_VOWELS = {
    "aa": "A: A 0 0#", "ae": "a aa", "eh": "E E# E2 e@ e", "ah": "V @ @2 @5 3 a# @-", "ih": "I I2 I# i i2 i@",
    "iy": "i: i:#", "ao": "O O: O@ o@ o o: oU# 0@", "uw": "u: U u U@ uU", "er": "3: 3:# @r", "aa er": "A@",
    "ah l": "@L", "aa iy": "aI aI2 aI3", "aa uw": "aU", "eh iy": "eI", "ao uw": "oU", "ao iy": "OI",
    "aa iy er": "aI@ aI3@", "aa uw er": "aU@",
}  # fmt: skip
_OF_PHONE: Mapping[str, tuple[str, ...]] = {
    phone: tuple(visemes.split())
    for table in (_CONSONANTS, _VOWELS)
    for visemes, phones in table.items()
    for phone in phones.split()
}


@dataclass(frozen=True)
class Phone:
    """A phone: eSpeak's name for it ("_" is silence), its times in seconds, and the number of its word (-1: none)."""

    name: str
    start_s: float
    end_s: float
    word: int = -1


def visemes_of(phone: str) -> tuple[str, ...]:
    """Viseme classes that `phone` (eSpeak's mnemonic, stress marks allowed) passes through; diphthongs have several.

    Raises:
        KeyError: no such phone in the table.
    """
    name = phone.strip("',%=")
    if name.startswith("_") or not name:
        return ("rest",)
    return _OF_PHONE[name]


def viseme_sequence(phones: Iterable[str]) -> tuple[str, ...]:
    """Viseme classes of a word's phones. Words with equal sequences look alike: they are homophenes."""
    return tuple(viseme for phone in phones for viseme in visemes_of(phone))


def mouth_curves(phones: Sequence[Phone], n_frames: int, articulation: float = 1.0) -> NDArray[np.float32]:
    """Mouth shapes at the middle of every video frame, [n_frames, N_SHAPE], columns in the order of `Shape`.

    Depends on the phones by their viseme classes and times only.

    Args:
        phones: the utterance, silences included, in order.
        n_frames: frames at 25 a second.
        articulation: factor on opening and width, about 0.85 (mumbled) to 1.15.
    """
    targets, weights, reaches, starts, ends = [], [], [], [], []
    for phone in phones:
        parts = [VISEMES[name] for name in visemes_of(phone.name)]
        length = (phone.end_s - phone.start_s) / len(parts)
        for k, part in enumerate(parts):
            targets.append(astuple(part.shape))
            weights.append(part.weight)
            reaches.append(part.reach_s)
            starts.append(phone.start_s + k * length)
            ends.append(phone.start_s + (k + 1) * length)
    times = (np.arange(n_frames) + 0.5) / FPS
    before = np.asarray(starts)[None] - times[:, None]
    after = times[:, None] - np.asarray(ends)[None]
    outside = np.maximum(0, np.maximum(before, after))
    dominance = np.asarray(weights) * np.exp(-outside / np.asarray(reaches))
    dominance /= dominance.sum(1, keepdims=True)
    curves = (dominance[:, :, None] * np.asarray(targets)[None]).sum(1)
    names = [f.name for f in fields(Shape)]
    # a mean of "closed" and "open" is not closed: pressed and tucked lips leave no gap
    press = np.clip((curves[:, names.index("press")] - 0.35) / 0.3, 0, 1)
    curves[:, names.index("aperture")] *= (1 - press) * articulation
    curves[:, names.index("width")] *= articulation
    shapes: NDArray[np.float32] = curves.astype(np.float32)
    return shapes
