"""Where and in what light a recording was made: background, clothes, lamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from synctalk.corpora.synthetic.canvas import Canvas, Float, blur, lay, noise, rgb, smoothstep
from synctalk.corpora.synthetic.head import Head

GAMMA = 2.2
BACKGROUNDS = ("studio", "stage", "room", "street", "shelves")
COLLARS = ("round", "vee", "shirt", "suit", "roll")


@dataclass(frozen=True)
class Light:
    """One lamp and the light of the room.

    Attributes:
        azimuth: where the lamp stands, degrees, positive to the right of the image.
        elevation: its height, degrees above the eyes.
        key: strength of the lamp, 0..1; the rest of the light comes from all sides.
        gain: exposure; 1 shows a surface that faces the lamp in its own colour.
        warmth: -1 (blue) .. 1 (yellow).
    """

    azimuth: float
    elevation: float
    key: float
    gain: float
    warmth: float

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector to the lamp: x right, y down, z to the viewer."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        return float(np.sin(a) * np.cos(e)), float(-np.sin(e)), float(np.cos(a) * np.cos(e))


def _muted(rng: np.random.Generator, low: float, high: float) -> Float:
    """A random colour between `low` and `high`, half way to grey, [3]."""
    grey, hue = rng.uniform(low, high), rng.uniform(low, high, 3)
    return (0.5 * grey + 0.5 * hue).astype(np.float32)


def _shift(image: Float, dx: float, dy: float) -> Float:
    """`image` read `dx`, `dy` pixels further on."""
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    size, flags = (image.shape[1], image.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cast(Float, cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def illuminate(depth: Float, scale: float, light: Light) -> tuple[Float, Float]:
    """Light that falls on a surface, linear [H, W, 3] and about 1 where it faces the lamp, and its highlights [H, W].

    Lambert's law with a soft terminator, shadows cast along the lamp's direction, and ambient light that hollows lose.

    Args:
        depth: height of the surface towards the viewer, face units, [H, W].
        scale: pixels a face unit.
        light: lamp.
    """
    smooth = blur(depth, 0.012 * scale)
    slope_x = np.clip(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=scale / 8), -3, 3)
    slope_y = np.clip(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=scale / 8), -3, 3)
    normal_z = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lx, ly, lz = light.direction
    facing = (lz - slope_x * lx - slope_y * ly) * normal_z
    diffuse = np.clip((facing + 0.2) / 1.2, 0, 1) ** 1.2
    flat = max(float(np.hypot(lx, ly)), 1e-3)
    shadow = np.ones_like(depth)
    for reach in (0.06, 0.11, 0.18, 0.28):
        # a point is shaded where the surface towards the lamp rises above the lamp's ray
        over = _shift(smooth, reach * lx / flat * scale, reach * ly / flat * scale) - smooth - reach * lz / flat
        shadow = np.minimum(shadow, 1 - smoothstep(0.0, 0.08, over))
    shadow = blur(shadow, 0.02 * scale)
    hollow = np.clip((blur(smooth, 0.1 * scale) - smooth) * 3.2, 0, 0.6)
    ambient = (1 - hollow) * (0.82 + 0.18 * np.clip(slope_y * normal_z, -1, 1)) * (0.55 + 0.45 * normal_z)
    warm = rgb(1 + 0.1 * light.warmth, 1 - 0.02 * light.warmth, 1 - 0.12 * light.warmth)
    falling = (light.key * diffuse * shadow)[..., None] * warm + ((1 - light.key) * ambient)[..., None]
    half = np.array([lx, ly, lz + 1])
    half /= np.linalg.norm(half)
    mirror = np.clip((half[2] - slope_x * half[0] - slope_y * half[1]) * normal_z, 0, 1)
    shine = light.key * shadow * mirror**24
    return (light.gain * falling).astype(np.float32), (light.gain * shine).astype(np.float32)


def paint_background(canvas: Canvas, rng: np.random.Generator, kind: str, light: Light) -> Float:
    """A still, blurred background, 0..1, [H, W, 3].

    Args:
        canvas: its raster.
        rng: fresh generator.
        kind: one of `BACKGROUNDS`.
        light: the recording's light; dim rooms stay dim.
    """
    h, w = canvas.height, canvas.width
    hue = _muted(rng, 0.0, 1.0)
    base = (0.25 + 0.45 * hue).astype(np.float32)
    image: Float = np.broadcast_to(base, (h, w, 3)).copy()
    if kind == "studio":
        centre = rng.uniform(-0.8, 0.8, 2)
        glow = np.exp(-((canvas.x - centre[0]) ** 2 + (canvas.y - centre[1]) ** 2) / 3)
        image = image * (0.6 + 0.6 * glow[..., None])
    elif kind == "stage":
        image = np.broadcast_to((0.03 + 0.1 * hue).astype(np.float32), (h, w, 3)).copy()
        for _ in range(3):
            x, y, r = rng.uniform(-2, 2), rng.uniform(-1.8, 1.5), rng.uniform(0.2, 0.6)
            spot = np.exp(-((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / (2 * r**2))
            image = image + spot[..., None] * _muted(rng, 0.05, 0.4)
    elif kind == "room":
        image = image * (0.9 + 0.1 * noise(rng, canvas, 1.0).clip(-2, 2)[..., None])
        for _ in range(int(rng.integers(2, 5))):
            x, y = rng.uniform(-2, 2), rng.uniform(-1.7, 1.2)
            half = rng.uniform(0.15, 0.6, 2)
            frame = (np.abs(canvas.x - x) < half[0]) & (np.abs(canvas.y - y) < half[1])
            lay(image, _muted(rng, 0.15, 0.95), 0.8 * frame)
        image = blur(image, rng.uniform(0.03, 0.09) * canvas.scale, cv2.BORDER_DEFAULT)
    elif kind == "street":
        for _ in range(40):
            x, y, r = rng.uniform(-2.2, 2.2), rng.uniform(-1.9, 2.2), rng.uniform(0.06, 0.3)
            disc = 1 - smoothstep(r * 0.9, r * 1.1, np.hypot(canvas.x - x, canvas.y - y))
            lay(image, _muted(rng, 0.1, 0.9), 0.45 * disc)
        image = blur(image, 0.06 * canvas.scale, cv2.BORDER_DEFAULT)
    else:
        edges = np.cumsum(rng.uniform(0.06, 0.2, 60)) - 2.4
        colours = np.stack([_muted(rng, 0.12, 0.7) for _ in range(61)])
        rows = [colours[(np.searchsorted(edges, canvas.x[0]) + 7 * k) % 61] for k in range(6)]
        shelf = np.clip(((canvas.y[:, 0] + 2.0) / 0.8).astype(int), 0, 5)
        image = np.stack(rows)[shelf]
        board = np.abs((canvas.y[:, 0] + 2.0) % 0.8 - 0.02) < 0.035
        image[board] = base * 0.5
        image = blur(image, rng.uniform(0.03, 0.08) * canvas.scale, cv2.BORDER_DEFAULT)
    exposed: Float = np.clip(image * light.gain ** (1 / GAMMA), 0, 1)
    return exposed.astype(np.float32)


def _garment(canvas: Canvas, rng: np.random.Generator, collar: str) -> tuple[Float, Float, Float]:
    """Coverage, colour and depth of the clothes."""
    c, ax = canvas, np.abs(canvas.x)
    colour = _muted(rng, 0.06, 0.75) * np.float32(rng.uniform(0.5, 1.0))
    soft = 0.7 / c.scale
    shoulder = 1.88 + 0.3 * np.clip(ax - 0.5, 0, 2) ** 0.9
    throat = {
        "round": 1.98 + 0.22 * np.sqrt(np.clip(1 - (ax / 0.66) ** 2, 0, 1)),
        "vee": 1.9 + 0.75 * np.clip(1 - ax / 0.66, 0, 1),
        "roll": 1.78 + 0.05 * np.clip(1 - (ax / 0.7) ** 2, 0, 1),
    }.get(collar, 1.86 + 0.5 * np.clip(1 - ax / 0.62, 0, 1))
    edge = np.where(ax < 0.66, throat, np.minimum(shoulder, throat + 9 * (ax - 0.66)))
    cover = smoothstep(-soft, soft, c.y - edge)
    weave = 1 + 0.05 * noise(rng, c, 0.03) + 0.08 * noise(rng, c, 0.3)
    albedo = np.clip(colour * weave[..., None], 0, 1).astype(np.float32)
    depth = 0.1 + 0.3 * np.sqrt(np.clip(1 - (ax / 2.6) ** 2, 0, 1)) + 0.1 * (c.y > edge)
    if collar in ("shirt", "suit"):
        wing = 2.32 - 0.62 * np.abs(ax - 0.3)
        lapel = smoothstep(-soft, soft, c.y - edge) * (1 - smoothstep(-soft, soft, c.y - wing))
        worn = rng.uniform(0.75, 0.95, 3).astype(np.float32) if collar == "suit" else colour * 1.25 + 0.08
        shirt = np.clip(worn, 0, 1)
        lay(albedo, shirt, lapel)
        depth = depth + 0.05 * lapel
        if collar == "suit":
            tie = 1 - smoothstep(-soft, soft, ax - 0.1 - 0.02 * (c.y - 2.2))
            lay(albedo, _muted(rng, 0.1, 0.6), tie * (c.y > 2.2))
    return cover, albedo, np.broadcast_to(depth, cover.shape).astype(np.float32)


def dress(head: Head, canvas: Canvas, rng: np.random.Generator, collar: str) -> Head:
    """`head` with clothes on, `collar` one of `COLLARS`."""
    cover, albedo, depth = _garment(canvas, rng, collar)
    visible = cover * (1 - head.front)
    dressed = head.albedo.copy()
    lay(dressed, albedo, visible)
    return Head(
        albedo=dressed,
        depth=head.depth + (depth - head.depth) * visible,
        gloss=head.gloss * (1 - 0.8 * visible),
        front=head.front,
        cover=np.maximum(head.cover, cover),
    )
