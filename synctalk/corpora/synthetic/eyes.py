"""Eyes painted over lit skin, from open to shut."""

from __future__ import annotations

import numpy as np

from synctalk.corpora.synthetic.canvas import Box, Canvas, Float, bump, lay, rgb, smoothstep
from synctalk.corpora.synthetic.identity import Identity

LID_LEVELS = 6
"""Painted lid positions: level 0 is open, the last is shut."""


def eyes_box(identity: Identity) -> Box:
    """The part of the face that blinking changes."""
    reach = identity.eye_spacing + identity.eye_width + 0.09
    return Box(-reach, -0.2, reach, 0.17)


def _paint_eye(
    skin: Float, c: Canvas, identity: Identity, side: int, closed: float, gaze: tuple[float, float], light: Float
) -> Float:
    i = identity
    w, h = i.eye_width, i.eye_height
    s = (c.x - side * i.eye_spacing) / w
    inside = np.clip(1 - s**2, 0, 1)
    axis = -side * s * i.eye_slant
    pixel = 1 / c.scale
    upper_open = axis - h * inside**0.62
    lower = axis + 0.52 * h * inside**0.8
    upper = upper_open + (0.9 * lower + 0.1 * upper_open - upper_open) * closed
    opening = smoothstep(-0.6, 0.6, (c.y - upper) / pixel) * smoothstep(-0.6, 0.6, (lower - c.y) / pixel)
    opening = opening * (np.abs(s) < 1)
    dx, dy = (c.x - side * i.eye_spacing - gaze[0]) / h, (c.y + 0.12 * h - gaze[1]) / h
    radius = np.sqrt(dx**2 + dy**2)
    white = np.broadcast_to(rgb(0.93, 0.91, 0.89), skin.shape) * (
        0.72 + 0.28 * np.clip((c.y - upper) / (0.8 * h), 0, 1) * np.clip(1.25 * inside, 0, 1)
    )[..., None].astype(np.float32)
    lay(white, rgb(0.8, 0.5, 0.46), smoothstep(0.8, 1.0, -side * s + 0 * c.y) * 0.8)
    iris = np.asarray(i.iris, np.float32) / 255
    edge = 0.06 + pixel / h
    fibre = (0.75 + 0.55 * np.clip(dy + 0.35, 0, 1)) * (1 - 0.5 * smoothstep(0.62, 0.86, radius))
    eye = white
    lay(eye, np.clip(iris * fibre[..., None], 0, 1), 1 - smoothstep(0.86 - edge, 0.86 + edge, radius))
    lay(eye, rgb(0.03, 0.03, 0.04), 1 - smoothstep(0.36 - edge, 0.36 + edge, radius))
    glint = 1 - smoothstep(0.16, 0.16 + 1.5 * edge, np.sqrt((dx + 0.25) ** 2 + (dy + 0.32) ** 2))
    painted = skin.copy()
    lay(painted, eye * np.clip(light, 0.35, 1.1), opening)
    lay(painted, rgb(0.97, 0.97, 0.97), (glint * opening).astype(np.float32))
    lash_thickness = (0.024 if i.female else 0.016) + 0.35 * pixel
    near = np.clip(1.04 - s**2, 0, 1) ** 0.35 * (np.abs(s) < 1.04)
    lash = np.exp(-0.5 * ((c.y - upper + 0.3 * lash_thickness) / lash_thickness) ** 2) * near
    lay(painted, rgb(0.09, 0.06, 0.05), np.clip(lash * (1.0 if i.female else 0.85), 0, 1))
    rim = np.exp(-0.5 * ((c.y - lower) / (0.014 + 0.3 * pixel)) ** 2) * near
    lay(painted, skin * rgb(0.6, 0.48, 0.46), 0.55 * rim)
    crease_y = upper_open - 0.055 * inside**0.5
    crease = np.exp(-0.5 * ((c.y - crease_y) / (0.013 + 0.3 * pixel)) ** 2) * np.clip(1.1 - s**2, 0, 1) ** 0.5
    lay(painted, skin * rgb(0.62, 0.52, 0.5), 0.55 * (1 - 0.7 * closed) * crease)
    return painted


def paint_eyes(skin: Float, canvas: Canvas, identity: Identity, gaze: tuple[float, float], light: Float) -> list[Float]:
    """The region `canvas` (of `eyes_box`) at every lid level, [H, W, 3] each.

    Args:
        skin: lit skin there, 0..1, [H, W, 3].
        canvas: the region.
        identity: whose eyes.
        gaze: offset of the irises, face units.
        light: light that falls there, [H, W, 3], about 1.
    """
    pictures = []
    for level in range(LID_LEVELS):
        closed = level / (LID_LEVELS - 1)
        picture = skin.copy()
        for side in (-1, 1):
            # a lowered lid lies in its own shade
            lid = bump(canvas, side * identity.eye_spacing, 0.0, 0.17, 0.07) * 0.12 * closed
            lay(picture, skin * np.float32(0.7), lid)
            picture = _paint_eye(picture, canvas, identity, side, closed, gaze, light)
        pictures.append(picture)
    return pictures
