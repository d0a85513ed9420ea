"""Who a speaker is: proportions, colours, hair, beard and voice, drawn once from a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKIN_TONES = (
    (242, 204, 184),
    (234, 190, 166),
    (224, 174, 146),
    (206, 152, 122),
    (182, 128, 99),
    (154, 105, 81),
    (130, 87, 67),
)
LIP_TONES = (
    (178, 92, 92),
    (172, 84, 82),
    (160, 78, 74),
    (142, 68, 64),
    (122, 56, 54),
    (98, 44, 44),
    (80, 36, 38),
)
"""Natural lips, one for each skin tone: always darker than the skin, so that grey crops show them."""
LIPSTICKS = ((168, 36, 52), (150, 30, 60), (184, 60, 70), (140, 44, 50), (120, 26, 40))
HAIR_COLOURS = (
    (36, 28, 24),
    (58, 42, 32),
    (88, 60, 40),
    (120, 86, 54),
    (172, 136, 88),
    (134, 68, 40),
    (120, 118, 116),
    (186, 182, 176),
)
IRIS_COLOURS = ((82, 54, 34), (70, 46, 30), (104, 80, 48), (88, 112, 84), (92, 126, 152), (110, 132, 146))
FEMALE_HAIR = ("long", "bob", "tied")
MALE_HAIR = ("short", "short", "cropped", "receding")

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Lips:
    """Lips at rest, face units: half their width, heights of both lips, drop of the corners, depth of the bow."""

    half_width: float
    upper: float
    lower: float
    corner_drop: float
    bow: float
    colour: Colour


@dataclass(frozen=True)
class Identity:
    """One face. Lengths are face units, colours RGB 0..255, weights 0..1.

    Attributes:
        female: which voices, hair and lips are drawn from.
        jaw, chin_width, cheek: widths of the lower face, as factors of the average.
        chin: y of the chin.
        brow_y, brow_thickness, brow_slope: eyebrows.
        eye_spacing, eye_width, eye_height, eye_slant: eyes.
        nose_length, nose_width, nose_bridge: nose.
        hair: style; `hairline` is its y above the forehead; `parting` the x of the crown.
        stubble, moustache: density of the beard shadow and of the moustache.
        freckles, age: weights.
    """

    female: bool
    skin: Colour
    lips: Lips
    jaw: float
    chin_width: float
    cheek: float
    chin: float
    brow_y: float
    brow_thickness: float
    brow_slope: float
    eye_spacing: float
    eye_width: float
    eye_height: float
    eye_slant: float
    iris: Colour
    nose_length: float
    nose_width: float
    nose_bridge: float
    hair: str
    hair_colour: Colour
    hairline: float
    parting: float
    stubble: float
    moustache: float
    freckles: float
    age: float

    @property
    def mouth_y(self) -> float:
        """Where the lips meet."""
        return 1.0 + 0.6 * (self.nose_length - 0.64)


def _tint(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    hue = 1 + 0.4 * rng.normal(0, spread, 3)
    r, g, b = np.clip(np.asarray(colour) * hue * (1 + rng.normal(0, 1.5 * spread)), 8, 250)
    return float(r), float(g), float(b)


def draw_identity(rng: np.random.Generator, female: bool) -> Identity:
    """A random adult face. Everything comes from `rng` in a fixed order."""
    tone = int(rng.choice(len(SKIN_TONES), p=(0.2, 0.2, 0.18, 0.14, 0.11, 0.1, 0.07)))
    age = float(rng.beta(1.5, 2.5))
    lip_colour: Colour = LIP_TONES[tone]
    if female and rng.random() < 0.6:
        lip_colour = LIPSTICKS[int(rng.integers(len(LIPSTICKS)))]
    if tone >= 4:
        hair_colour: Colour = HAIR_COLOURS[int(rng.integers(2))]
        iris = IRIS_COLOURS[int(rng.integers(2))]
    else:
        hair_colour = HAIR_COLOURS[int(rng.integers(6)) if age < 0.6 else int(rng.integers(1, 8))]
        iris = IRIS_COLOURS[int(rng.integers(len(IRIS_COLOURS)))]
    styles = FEMALE_HAIR if female else MALE_HAIR
    hair = styles[int(rng.integers(len(styles)))]
    beard = 0.0 if female else float(rng.random())
    lips = Lips(
        half_width=float(rng.uniform(0.45, 0.5)),
        upper=float(rng.uniform(0.105, 0.135)) * (1.08 if female else 0.98),
        lower=float(rng.uniform(0.15, 0.185)) * (1.06 if female else 1.0),
        corner_drop=float(rng.uniform(-0.02, 0.025)),
        bow=float(rng.uniform(0.1, 0.24)),
        colour=_tint(rng, lip_colour, 0.04),
    )
    return Identity(
        female=female,
        skin=_tint(rng, SKIN_TONES[tone], 0.02),
        lips=lips,
        jaw=float(rng.uniform(0.93, 1.02) + (0.0 if female else 0.05)),
        chin_width=float(rng.uniform(0.85, 1.0) + (0.0 if female else 0.15)),
        cheek=float(rng.uniform(0.97, 1.03)),
        chin=float(rng.uniform(1.55, 1.67)),
        brow_y=float(rng.uniform(-0.31, -0.25)),
        brow_thickness=float(rng.uniform(0.035, 0.05) if female else rng.uniform(0.05, 0.075)),
        brow_slope=float(rng.uniform(-0.02, 0.08)),
        eye_spacing=float(rng.uniform(0.42, 0.47)),
        eye_width=float(rng.uniform(0.2, 0.235)),
        eye_height=float(rng.uniform(0.085, 0.115) + (0.01 if female else 0.0)),
        eye_slant=float(rng.uniform(-0.01, 0.03)),
        iris=_tint(rng, iris, 0.06),
        nose_length=float(rng.uniform(0.6, 0.68)),
        nose_width=float(rng.uniform(0.15, 0.2) + 0.012 * tone * 0.5),
        nose_bridge=float(rng.uniform(0.8, 1.15)),
        hair=hair,
        hair_colour=_tint(rng, hair_colour, 0.06),
        hairline=float(rng.uniform(-1.02, -0.86) - (0.18 if hair == "receding" else 0.0)),
        parting=float(rng.uniform(-0.5, 0.5)),
        stubble=float(np.clip((beard - 0.4) * 1.1, 0, 0.5)),
        moustache=float(0.75 if beard > 0.85 else 0.0),
        freckles=float(rng.uniform(0.3, 0.8) if tone < 2 and rng.random() < 0.25 else 0.0),
        age=age,
    )
