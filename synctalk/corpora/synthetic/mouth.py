"""The mouth, painted for many frames at once: lips, teeth, tongue and the dark behind them.

Every edge is a curve y(x), so that coverage is a clipped distance: anti-aliased without supersampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.synthetic.canvas import Box, Canvas, Float, Image
from synctalk.corpora.synthetic.identity import Identity

JAW_DROP = 0.26
"""How far the chin sinks at the widest opening, face units."""
OPENING = 0.42
"""Gap between the lips at the widest opening, face units."""
BLOCK = 8
"""Frames painted together: their intermediate images stay in the cache."""
SOFTNESS = 0.6
"""Sharpness of the outer edge of the lips against that of their inner edge."""
SHADOW = 0.13
"""Reach of the shadow below the lower lip, face units."""

CAVITY = (0.17, 0.045, 0.05)
TONGUE = (0.9, 0.46, 0.46)
TEETH = (0.98, 0.95, 0.89)


def mouth_box(identity: Identity) -> Box:
    """The part of the face that the lips can reach."""
    return Box(-0.66, identity.mouth_y - 0.31, 0.66, identity.mouth_y + 0.76)


@dataclass(frozen=True)
class _Curves:
    """Edges of a mouth, y in pixels below the lips' axis for every column, [T, W]; and weights of each frame [T, 1].

    Attributes:
        s: column, -1..1 between the corners; `inside` is 1 - s², 0 outside.
        within: coverage of the column by the mouth, 0..1.
        top_out, top_in, low_in, low_out: edges of the lips.
        teeth_bottom, teeth_top: edges of the upper and the lower row; `upper_row`, `lower_row` how far they show.
        tongue_top, tongue_bottom: the tongue; `tongue` how far it shows, `ahead` how far it lies before the teeth.
        protrusion: fullness of the lips.
    """

    s: Float
    inside: Float
    within: Float
    top_out: Float
    top_in: Float
    low_in: Float
    low_out: Float
    teeth_bottom: Float
    teeth_top: Float
    tongue_top: Float
    tongue_bottom: Float
    upper_row: Float
    lower_row: Float
    tongue: Float
    ahead: Float
    protrusion: Float

    def take(self, frames: NDArray[np.intp]) -> _Curves:
        """The curves of some frames, ready to be broadcast against images: [n, 1, W]."""
        return _Curves(**{name: values[frames][:, None] for name, values in self.__dict__.items()})


def _curves(identity: Identity, canvas: Canvas, shapes: NDArray[np.float32]) -> _Curves:
    lips, pixels = identity.lips, np.float32(canvas.scale)
    aperture, width, protrusion, press, lift, upper_teeth, lower_teeth, tongue, out, tuck = (
        shapes[:, k, None] for k in range(shapes.shape[1])
    )
    spread, purse = np.clip(width, 0, 1), np.clip(-width, 0, 1)
    half = lips.half_width * (1 + 0.2 * spread - 0.46 * purse) * (1 - 0.05 * aperture)
    s = canvas.x / half
    inside = np.clip(1 - s * s, 0, 1)
    # pursed openings are round, spread ones are almonds
    arch = inside ** (0.85 - 0.35 * purse)
    axis = (lips.corner_drop - 0.015 * spread) * s * s
    top_in = axis - (0.008 + 0.06 * lift + 0.05 * aperture) * arch
    low_in = axis + (0.01 + OPENING * aperture + 0.02 * purse - 0.03 * tuck) * arch
    bow = 1 - lips.bow * np.exp(-0.5 * (s / 0.13) ** 2)
    bow += 0.4 * lips.bow * np.exp(-0.5 * ((np.abs(s) - 0.26) / 0.14) ** 2)
    upper = lips.upper * (1 - 0.68 * press + 0.3 * protrusion - 0.15 * spread) * bow * inside**0.7
    lower = lips.lower * (1 - 0.68 * press + 0.25 * protrusion - 0.5 * tuck - 0.1 * spread) * inside**0.55
    scallop = 0.012 * np.abs(np.sin(canvas.x * (np.pi / 0.115)))
    # a raised tongue is a narrow tip with dark on both sides, a low one a wide mound
    tongue_arch = np.clip(1 - (s / (0.74 - 0.28 * np.clip(1.4 * tongue - 0.4, 0, 1))) ** 2, 0, 1) ** 0.5
    tongue_top = low_in - (low_in - top_in) * np.clip(0.12 + 0.75 * tongue, 0, 0.82) * tongue_arch
    shown = np.clip(tongue * 4 + 0.5 * aperture, 0, 1)
    return _Curves(
        s=s,
        inside=inside,
        within=np.clip((1 - np.abs(s)) * half * pixels + 0.5, 0, 1),
        top_out=(top_in - upper) * pixels,
        top_in=top_in * pixels,
        low_in=low_in * pixels,
        low_out=(low_in + lower) * pixels,
        teeth_bottom=(top_in + (0.02 + 0.13 * upper_teeth) * (0.4 + 0.6 * inside) - scallop) * pixels,
        teeth_top=(low_in - 0.115 * lower_teeth * (0.3 + 0.7 * inside)) * pixels,
        tongue_top=tongue_top * pixels,
        tongue_bottom=(low_in + out * 0.12 * tongue_arch) * pixels,
        upper_row=np.clip(upper_teeth * 3, 0, 1),
        lower_row=np.clip(lower_teeth * 3, 0, 1) * 0.82,
        tongue=shown * (tongue_arch > 0),
        ahead=np.clip(out * 1.6, 0, 1),
        protrusion=protrusion,
    )


def _unit(values: Float) -> Float:
    """`values` clipped to 0..1, in place."""
    np.maximum(values, 0, out=values)
    np.minimum(values, 1, out=values)
    return values


def _hill(values: Float) -> Float:
    """A smooth hill of height 1 at 0 that ends at -1 and 1, in place."""
    np.multiply(values, values, out=values)
    np.subtract(1, values, out=values)
    np.maximum(values, 0, out=values)
    return np.multiply(values, values, out=values)


@dataclass(frozen=True)
class MouthPainter:
    """Paints one speaker's mouth in one recording's light.

    Attributes:
        identity: whose mouth.
        canvas: the region `mouth_box` of the face's canvas.
        light: light there, display gamma, [H, W, 3].
        shine: highlights there, [H, W].
    """

    identity: Identity
    canvas: Canvas
    light: Float
    shine: Float

    def paint(self, skin: Image, shapes: NDArray[np.float32]) -> None:
        """Paint mouths over skin, in place.

        Args:
            skin: lit skin without lips for each frame, RGBA uint8, [T, H, W, 4].
            shapes: mouth shapes [T, N_SHAPE] of `visemes.mouth_curves`.
        """
        curves = _curves(self.identity, self.canvas, shapes)
        y = (self.canvas.y - np.float32(self.identity.mouth_y)) * np.float32(self.canvas.scale)
        bottoms = curves.low_out.max(1) + SHADOW * self.canvas.scale
        # frames that open equally wide share the rows that have to be painted
        order = np.argsort(bottoms, kind="stable")
        for start in range(0, len(order), BLOCK):
            frames = order[start : start + BLOCK]
            first = int(np.searchsorted(y[:, 0], curves.top_out[frames].min() - 2))
            last = int(np.searchsorted(y[:, 0], bottoms[frames].max() + 1))
            self._paint(skin, frames, curves.take(frames), slice(first, last), y[first:last])

    def _paint(self, skin: Image, frames: NDArray[np.intp], c: _Curves, rows: slice, y: Float) -> None:
        pixels = np.float32(self.canvas.scale)
        centred = y + np.float32(0.5)
        covered = _unit(y * SOFTNESS + 0.5 - c.top_out * SOFTNESS)
        covered *= _unit(c.low_out * SOFTNESS + 0.5 - y * SOFTNESS)
        covered *= c.within
        opened = _unit(centred - c.top_in)
        opened *= _unit(c.low_in + np.float32(0.5) - y)
        opened *= c.within
        lip = np.maximum(covered - opened, 0)

        # the upper lip faces the ground, the lower one the lamp
        from_top = _unit((y - c.top_out) / np.maximum(c.top_in - c.top_out, 1))
        from_bottom = _unit((c.low_out - y) / np.maximum(c.low_out - c.low_in, 1))
        is_lower = _unit(centred - 0.5 * (c.top_in + c.low_in))
        shade = 0.9 - 0.2 * from_top
        shade += (0.78 + (0.9 + 0.42 * c.protrusion) * from_bottom * (1 - from_bottom) - shade) * is_lower
        glint = _hill((from_bottom - np.float32(0.55)) / np.float32(0.34))
        glint *= is_lower
        glint *= lip
        glint *= _hill(c.s / np.float32(0.8))

        teeth = _unit(c.teeth_bottom + np.float32(0.5) - y)
        teeth *= c.upper_row
        np.maximum(teeth, _unit(centred - c.teeth_top) * c.lower_row, out=teeth)
        teeth *= np.clip((0.93 - np.abs(c.s)) * 9, 0, 1)
        tongue = _unit(centred - c.tongue_top)
        tongue *= _unit(c.tongue_bottom + np.float32(0.5) - y)
        tongue *= c.tongue
        before = tongue * c.ahead
        teeth *= 1 - before
        dim = 0.65 + 0.35 * c.inside
        tongue *= np.maximum(opened * (1 - teeth), c.ahead * covered)
        lip *= 1 - before

        weights = np.empty((*covered.shape, 4), np.float32)
        np.multiply(lip, shade, out=weights[..., 0])
        np.subtract(opened * (1 - teeth), tongue, out=weights[..., 1])
        np.maximum(weights[..., 1], 0, out=weights[..., 1])
        np.multiply(tongue, dim * (0.75 + 0.25 * c.ahead), out=weights[..., 2])
        np.multiply(opened * teeth, dim, out=weights[..., 3])

        # full lips throw a shadow on the chin
        reach = np.float32(SHADOW) * pixels
        shadow = _hill((y - c.low_out - np.float32(0.25) * reach) / reach)
        shadow *= np.clip(1.2 - np.abs(c.s), 0, 1) * (0.16 + 0.14 * c.protrusion)
        bare = np.maximum(covered, opened)
        np.maximum(bare, tongue, out=bare)
        np.subtract(1, bare, out=bare)
        bare *= 1 - shadow

        palette = np.zeros((4, 4), np.float32)
        lip_colour = np.asarray(self.identity.lips.colour, np.float32) / 255
        palette[:3] = np.stack([lip_colour, CAVITY, TONGUE, TEETH], 1)
        lit = cv2.merge([*(cv2.split(self.light[rows] * 255)), np.zeros_like(self.shine[rows])])
        glint *= self.shine[rows] * 120
        for k, frame in enumerate(frames):
            colour = cast(Float, cv2.multiply(cv2.transform(weights[k], palette), lit))
            colour += cv2.merge([glint[k]] * 4)
            below = skin[frame, rows]
            colour += cv2.multiply(below, cv2.merge([bare[k]] * 4), dtype=cv2.CV_32F)
            skin[frame, rows] = cv2.convertScaleAbs(colour)
