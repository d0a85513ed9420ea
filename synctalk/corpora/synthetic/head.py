"""The head of an identity as maps over the canvas: colour, depth and gloss, still unlit, without eyes and lips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

from synctalk.corpora.synthetic.canvas import Canvas, Float, blur, bump, lay, noise, rgb, smoothstep
from synctalk.corpora.synthetic.identity import Identity

SUPERSAMPLING = 2
NECK_HALF_WIDTH = 0.62


@dataclass(frozen=True)
class Head:
    """Maps of a head, float32 over one canvas.

    Attributes:
        albedo: colour without light, 0..1 in display gamma, [H, W, 3].
        depth: height towards the viewer, face units, [H, W].
        gloss: strength of highlights, [H, W].
        front: coverage of what stands before the clothes (face, ears, hair in front), 0..1, [H, W].
        cover: coverage of the whole person without clothes, 0..1, [H, W].
    """

    albedo: Float
    depth: Float
    gloss: Float
    front: Float
    cover: Float


@dataclass(frozen=True)
class _Layer:
    albedo: Float
    depth: Float
    gloss: Float


def half_width(identity: Identity, y: Float, inflate: float = 0.0) -> Float:
    """Half the width of the head's outline at height `y`, -1 above and below it; `inflate` moves it outwards."""
    i = identity
    heights = np.array([-1.62, -1.52, -1.3, -0.9, -0.4, 0.1, 0.5, 0.85, 1.12, 1.35, i.chin - 0.1, i.chin])
    widths = np.array(
        [
            0.0, 0.44, 0.74, 0.94, 1.0, 0.99, 0.955 * i.cheek, 0.87 * i.cheek,
            0.765 * i.jaw, 0.6 * i.jaw, 0.36 * i.chin_width, 0.0,
        ]
    )  # fmt: skip
    heights = heights + inflate * np.linspace(-1, 1, len(heights))
    inside = (y > heights[0]) & (y < heights[-1])
    curve = PchipInterpolator(heights, widths)(np.clip(y, heights[0], heights[-1])) + inflate
    return np.where(inside, curve, -1).astype(np.float32)


def _relief(identity: Identity, c: Canvas) -> Float:
    i, e, tip = identity, identity.eye_spacing, identity.nose_length
    lips = i.mouth_y
    z = np.zeros((c.height, c.width), np.float32)
    for side in (-1, 1):
        z += 0.05 * bump(c, side * 0.42, i.brow_y + 0.03, 0.25, 0.09)
        z -= 0.11 * bump(c, side * e, 0.0, 0.22, 0.13)
        z += 0.06 * bump(c, side * e, 0.0, 0.13, 0.08)
        z += 0.08 * bump(c, side * 0.58 * i.cheek, 0.42, 0.24, 0.2)
        z += 0.11 * bump(c, side * (i.nose_width - 0.02), tip + 0.01, 0.07, 0.07)
        # the fold from the wing of the nose to the corner of the mouth
        fold_x = side * (i.nose_width + 0.08 + 0.3 * np.clip((c.y - tip) / 0.5, 0, 1.2))
        fold = np.exp(-0.5 * ((c.x - fold_x) / 0.045) ** 2) * bump(c, 0, tip + 0.2, 9, 0.16)
        z -= (0.012 + 0.03 * i.age) * fold
    rise = smoothstep(-0.2, tip, c.y) * (1 - smoothstep(tip + 0.02, tip + 0.13, c.y))
    width = 0.075 + 0.05 * smoothstep(0.2, tip, c.y)
    z += i.nose_bridge * (0.06 + 0.2 * rise) * rise**0.5 * np.exp(-0.5 * (c.x / width) ** 2)
    z += 0.13 * bump(c, 0, tip - 0.03, 0.1, 0.09)
    z += 0.09 * bump(c, 0, lips - 0.02, 0.36, 0.24)
    z -= 0.02 * bump(c, 0, lips - 0.2, 0.04, 0.06)
    z -= 0.05 * bump(c, 0, lips + 0.25, 0.22, 0.05)
    z += 0.08 * bump(c, 0, i.chin - 0.16, 0.2 * i.chin_width, 0.11)
    return z.astype(np.float32)


def _skull_depth(identity: Identity, c: Canvas) -> Float:
    i = identity
    profile = PchipInterpolator(
        [-1.75, -1.62, -1.35, -0.85, -0.2, 0.5, 1.1, i.chin - 0.12, i.chin, i.chin + 0.1],
        [0.0, 0.1, 0.6, 0.93, 1.0, 1.0, 0.98, 0.88, 0.62, 0.4],
    )(np.clip(c.y, -1.75, i.chin + 0.1)).astype(np.float32)
    across = np.clip(np.abs(c.x) / np.maximum(half_width(i, c.y, 0.02), 1e-3), 0, 1)
    depth: Float = profile * np.sqrt(1 - across**2.5)
    return depth.astype(np.float32)


def _skin(identity: Identity, c: Canvas, rng: np.random.Generator) -> Float:
    i, e, tip, lips = identity, identity.eye_spacing, identity.nose_length, identity.mouth_y
    base = np.asarray(i.skin, np.float32) / 255
    colour = np.broadcast_to(base, (c.height, c.width, 3)).copy()
    blush = 0.5 * bump(c, 0, tip - 0.02, 0.16, 0.12) + 0.25 * bump(c, 0, i.chin - 0.2, 0.25, 0.12)
    tired = np.zeros_like(blush)
    socket = np.zeros_like(blush)
    fold = np.zeros_like(blush)
    for side in (-1, 1):
        blush = blush + (0.55 if i.female else 0.4) * bump(c, side * 0.58, 0.5, 0.24, 0.2)
        tired = tired + (0.25 + 0.4 * i.age) * bump(c, side * e, 0.17, 0.17, 0.045)
        socket = socket + (0.5 if i.female else 0.3) * bump(c, side * e, -0.1, 0.2, 0.06)
        curve = side * (i.nose_width + 0.07 + 0.3 * np.clip((c.y - tip) / 0.5, 0, 1.2))
        fold = fold + np.exp(-0.5 * ((c.x - curve) / 0.025) ** 2) * bump(c, 0, tip + 0.2, 9, 0.13)
    lay(colour, base * rgb(1.04, 0.86, 0.84), np.clip(blush, 0, 1))
    lay(colour, base * rgb(0.84, 0.78, 0.8), np.clip(tired, 0, 1))
    lay(colour, base * rgb(0.76, 0.66, 0.66), np.clip(socket, 0, 1))
    lay(colour, base * rgb(0.74, 0.64, 0.62), np.clip(fold * (0.15 + 0.45 * i.age), 0, 1))
    texture = 1 + 0.012 * noise(rng, c, 0.02) + 0.012 * noise(rng, c, 0.12) + 0.015 * noise(rng, c, 0.5)
    colour *= texture[..., None]
    if i.freckles:
        spots = smoothstep(1.7, 2.4, noise(rng, c, 0.035)) * bump(c, 0, 0.35, 0.6, 0.25)
        lay(colour, base * rgb(0.72, 0.58, 0.5), i.freckles * spots)
    if i.stubble:
        beard = smoothstep(0.55, 0.95, c.y + 0.35 * c.x**2) * (1 - bump(c, 0, lips - 0.02, 0.5, 0.17) * 0.75)
        beard = beard * (1 - 0.9 * bump(c, 0, 0.6, 0.42, 0.22)) * (0.8 + 0.2 * noise(rng, c, 0.03).clip(-1, 1))
        shadow = 0.5 * base + 0.5 * np.asarray(i.hair_colour, np.float32) / 255
        lay(colour, shadow * np.float32(0.9), np.clip(i.stubble * beard, 0, 1))
    if i.moustache:
        arch = lips - 0.19 + 0.1 * (c.x / 0.42) ** 2
        hairs = np.exp(-0.5 * ((c.y - arch) / 0.04) ** 2) * (1 - smoothstep(0.36, 0.48, np.abs(c.x)))
        hairs = hairs * (0.85 + 0.15 * noise(rng, c, 0.03).clip(-1, 1))
        lay(colour, np.asarray(i.hair_colour, np.float32) / 255 * 0.8, np.clip(1.3 * i.moustache * hairs, 0, 1))
    for side in (-1, 1):
        nostril = bump(c, side * 0.58 * i.nose_width, tip + 0.075, 0.042, 0.022)
        lay(colour, base * rgb(0.3, 0.2, 0.18), np.clip(1.15 * nostril, 0, 0.9))
        wing = bump(c, side * (i.nose_width + 0.045), tip + 0.02, 0.02, 0.05)
        lay(colour, base * rgb(0.62, 0.5, 0.47), 0.6 * wing)
    lay(colour, np.asarray(i.hair_colour, np.float32) / 255 * 0.75, _brows(identity, c, rng))
    return colour


def _brows(identity: Identity, c: Canvas, rng: np.random.Generator) -> Float:
    i = identity
    strokes = np.zeros((c.height, c.width), np.uint8)
    n_hairs = 110
    along = rng.random((2, n_hairs))
    across = rng.uniform(-1, 1, (2, n_hairs))
    for column, side in enumerate((-1, 1)):
        t = along[column]
        taper = np.minimum(1.0, 0.55 + 1.8 * t) * (1 - 0.75 * np.clip(t - 0.55, 0, 1) / 0.45)
        x = side * (0.17 + 0.53 * t)
        y = i.brow_y - 0.09 * np.sin(np.pi * (0.12 + 0.78 * t)) + 0.05 - i.brow_slope * (t - 0.3)
        y = y + across[column] * i.brow_thickness * 0.55 * taper
        start = c.to_pixels(np.stack([x, y + 0.012], -1).astype(np.float32))
        lean = side * (0.03 + 0.05 * t)
        end = c.to_pixels(np.stack([x + lean, y - 0.03 * (1 - 1.4 * t)], -1).astype(np.float32))
        thick = max(1, round(0.016 * c.scale))
        for a, b in zip(np.round(start * 8).astype(int), np.round(end * 8).astype(int), strict=True):
            cv2.line(strokes, a.tolist(), b.tolist(), 255, thick, cv2.LINE_AA, 3)
    hairs: Float = np.clip(blur(strokes.astype(np.float32) / 255, 0.011 * c.scale) * 1.05, 0, 0.95)
    return hairs


def _streaks(identity: Identity, c: Canvas, rng: np.random.Generator) -> Float:
    """Strands that run away from the crown: noise over the angle, drifting slowly along the radius."""
    dx, dy = c.x - 0.6 * identity.parting, c.y + 1.45
    angle = np.arctan2(dx, dy + 0.25) / np.pi
    total = np.zeros((c.height, c.width), np.float32)
    wobble = 0.006 * noise(rng, c, 0.25)
    for octave, weight in ((48, 0.5), (130, 0.6), (300, 0.4)):
        values = rng.standard_normal(2 * octave + 1)
        total += weight * np.interp((angle + wobble + 1) * octave, np.arange(2 * octave + 1), values).astype(np.float32)
    return total


def _hair(identity: Identity, c: Canvas, rng: np.random.Generator) -> tuple[Float, Float, _Layer]:
    """Coverage of the hair in front of and behind the head, and its surface."""
    i = identity
    streak = _streaks(i, c, rng)
    volume = {"cropped": 0.03, "receding": 0.04, "short": 0.1, "tied": 0.05, "bob": 0.13, "long": 0.13}[i.hair]
    ragged = 0.012 * streak
    outline = half_width(i, c.y + 0.5 * ragged, volume) + ragged
    cap = smoothstep(-0.01, 0.01, outline - np.abs(c.x)) * (c.y < 0.6)
    side = {"long": 0.9, "bob": 0.9}.get(i.hair, 0.97)
    sweep = 0.0 if i.hair in ("cropped", "receding") else 0.12 * np.tanh(2 * i.parting) * c.x
    temple = 0.32 if i.hair == "receding" else 0.0
    rise = np.clip(1 - np.abs(c.x / side) ** 3.2, 0, 1) ** 0.6
    brow_line = 0.25 + (i.hairline - 0.25 + sweep) * rise - temple * bump(c, 0.55, 0, 0.2, 99) * rise
    brow_line = brow_line - temple * bump(c, -0.55, 0, 0.2, 99) * rise
    soft = 0.035 if i.hair in ("cropped", "receding") else 0.02
    above = 1 - smoothstep(-soft, soft, c.y - (brow_line + 0.04 * streak * soft / 0.02))
    front = cap * above
    behind = np.zeros_like(front)
    if i.hair in ("long", "bob"):
        end = 2.6 if i.hair == "long" else 1.25
        flare = 1.1 + 0.1 * smoothstep(0.3, 1.4, c.y) - (0.12 * smoothstep(0.9, 1.25, c.y) if i.hair == "bob" else 0)
        outer = smoothstep(-0.01, 0.01, flare + ragged * 2 - np.abs(c.x))
        inner = smoothstep(-0.02, 0.02, np.abs(c.x) - (0.86 - 0.05 * smoothstep(0.4, 1.2, c.y) + ragged))
        length = 1 - smoothstep(-0.06, 0.06, c.y - end - 0.08 * streak * 0.5)
        lower = smoothstep(-0.3, 0.1, c.y) * length
        front = np.maximum(front, outer * inner * lower)
        behind = outer * smoothstep(-0.4, 0.1, c.y) * length
    base = np.asarray(i.hair_colour, np.float32) / 255
    shade = np.clip(0.92 + 0.17 * streak, 0.45, 1.5)
    shine = 1 + 0.45 * np.exp(-0.5 * ((c.y + 1.12 - 0.25 * c.x**2) / 0.14) ** 2) * np.clip(1 + 0.5 * streak, 0, 2)
    albedo = np.clip(base * (shade * shine)[..., None], 0, 1).astype(np.float32)
    depth = _skull_depth(i, c) + 0.07 + 0.01 * streak
    return front.astype(np.float32), behind.astype(np.float32), _Layer(albedo, depth, np.full_like(front, 0.12))


def _ears(identity: Identity, c: Canvas) -> tuple[Float, _Layer]:
    mask = np.zeros((c.height, c.width), np.float32)
    depth = np.zeros_like(mask)
    inner = np.zeros_like(mask)
    for side in (-1, 1):
        u = (c.x - side * (1.015 + 0.06 * (0.25 - c.y))) / 0.125
        v = (c.y - 0.22) / 0.3
        radius = np.sqrt(u**2 + v**2)
        mask += 1 - smoothstep(0.93, 1.03, radius)
        depth += 0.16 * np.sqrt(np.clip(1 - radius**2, 0, 1)) - 0.1 * np.exp(-4 * radius**2)
        inner += np.exp(-3.5 * ((u + side * 0.15) ** 2 + (v * 1.1) ** 2)) * (radius < 1)
    skin = np.asarray(identity.skin, np.float32) / 255
    albedo = np.broadcast_to(skin * rgb(0.97, 0.88, 0.86), (c.height, c.width, 3)).copy()
    lay(albedo, skin * rgb(0.62, 0.48, 0.45), np.clip(inner, 0, 0.8))
    return np.clip(mask, 0, 1), _Layer(albedo, depth.astype(np.float32), np.full_like(mask, 0.1))


def _neck(identity: Identity, c: Canvas) -> tuple[Float, _Layer]:
    i = identity
    slope = 0.5 * smoothstep(1.75, 2.6, c.y) ** 1.5
    edge = (NECK_HALF_WIDTH if not i.female else NECK_HALF_WIDTH - 0.08) + slope
    mask = smoothstep(-0.012, 0.012, edge - np.abs(c.x)) * smoothstep(0.6, 0.7, c.y)
    across = np.clip(np.abs(c.x) / np.maximum(edge, 1e-3), 0, 1)
    depth = -0.15 + 0.6 * np.sqrt(1 - across**2)
    for side in (-1, 1):
        depth = depth + 0.04 * np.exp(-0.5 * ((c.x - side * (0.42 - 0.15 * (c.y - 1.7))) / 0.06) ** 2)
    albedo = np.broadcast_to(np.asarray(i.skin, np.float32) / 255 * 0.97, (c.height, c.width, 3))
    return mask, _Layer(albedo, depth.astype(np.float32), np.full_like(mask, 0.1))


def build_head(identity: Identity, canvas: Canvas, rng: np.random.Generator) -> Head:
    """Paint the head over `canvas`, supersampled. A pure function of its arguments (`rng` fresh)."""
    fine = canvas.finer(SUPERSAMPLING)
    relief = _relief(identity, fine)
    skin = _Layer(
        _skin(identity, fine, rng),
        _skull_depth(identity, fine) + relief,
        (0.14 + 0.3 * bump(fine, 0, identity.nose_length - 0.05, 0.12, 0.3)).astype(np.float32),
    )
    face = smoothstep(-0.012, 0.012, half_width(identity, fine.y) - np.abs(fine.x))
    front_hair, back_hair, hair = _hair(identity, fine, rng)
    neck_mask, neck = _neck(identity, fine)
    albedo, depth, gloss = hair.albedo * 0.55, np.full_like(face, -0.5), hair.gloss
    front = np.zeros_like(face)
    cover = np.maximum(back_hair, neck_mask)
    layers = [(neck_mask, neck, False), (face, skin, True), (front_hair, hair, True)]
    if identity.hair not in ("long", "bob"):
        ear_mask, ear = _ears(identity, fine)
        layers.insert(1, (ear_mask, ear, True))
    for mask, layer, in_front in layers:
        lay(albedo, layer.albedo, mask)
        depth = depth + (layer.depth - depth) * mask
        gloss = gloss + (layer.gloss - gloss) * mask
        cover = np.maximum(cover, mask)
        if in_front:
            front = np.maximum(front, mask)
    size = (canvas.width, canvas.height)

    def shrink(image: Float) -> Float:
        small = cv2.resize(np.ascontiguousarray(image, np.float32), size, interpolation=cv2.INTER_AREA)
        return cast(Float, np.ascontiguousarray(small))

    return Head(*map(shrink, (albedo, depth, gloss, front, cover)))
