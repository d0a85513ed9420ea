"""A speaker before a camera: everything of a recording that no frame changes, painted once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.synthetic.canvas import Box, Canvas, Float, Image, blur, lay, smoothstep
from synctalk.corpora.synthetic.eyes import eyes_box, paint_eyes
from synctalk.corpora.synthetic.head import build_head
from synctalk.corpora.synthetic.identity import Identity
from synctalk.corpora.synthetic.mouth import JAW_DROP, MouthPainter, mouth_box
from synctalk.corpora.synthetic.scene import GAMMA, Light, dress, illuminate, paint_background
from synctalk.corpora.synthetic.seeds import generator

FRAME_WIDTH = 4.0
"""Width of a square frame at zoom 1, face units."""
EYE_LINE = 0.43
"""Height of the eyes in the frame, from the top, as a part of its height."""
CANVAS_BOX = Box(-2.3, -2.05, 2.3, 2.6)
OVERSAMPLING = 1.15
"""Canvas pixels a frame pixel: one bilinear reading then costs little sharpness."""
JAW_LEVELS = 33
"""Jaw positions painted beforehand: steps of half a pixel."""
TURNING_DEPTH = 0.45
"""Depth of the axis that the head turns about, face units."""
PIVOT = (0.0, 1.0)


@dataclass(frozen=True)
class Recording:
    """What is drawn for one recording: who, light, place, clothes, camera.

    Attributes:
        identity: the speaker.
        identity_key: names of the speaker's generator: the same speaker has the same skin and hair everywhere.
        key: names of the recording's generator.
        light: lamp.
        background, collar: kinds of `scene`.
        zoom: face size against the average.
        shift: place of the face in the frame, face units.
        tilt: roll of the camera, degrees.
        gaze: offset of the irises, face units.
        size: width and height of the square frames, pixels.
    """

    identity: Identity
    identity_key: tuple[str | int, ...]
    key: tuple[str | int, ...]
    light: Light
    background: str
    collar: str
    zoom: float
    shift: tuple[float, float]
    tilt: float
    gaze: tuple[float, float]
    size: int


@dataclass(frozen=True)
class Stage:
    """A painted recording.

    Attributes:
        recording: what was painted.
        canvas: raster of the picture; larger than the frame.
        picture: the still picture, RGBA uint8 [H, W, 4]; alpha is unused (four channels are read faster than three).
        jaws: the lower face at every jaw position, RGBA uint8 [JAW_LEVELS, h, w, 4], and where it belongs.
        eyes: the eyes at every lid level, RGBA uint8 [n, h, w, 4], and where they belong.
        mouth: painter of the lips, and where its region lies within the lower face.
        depth: height that the head's turning shows, relative to its axis and faded out beyond the head, [H, W].
        camera: affine map from frame pixels to canvas pixels, [2, 3].
    """

    recording: Recording
    canvas: Canvas
    picture: Image
    jaws: Image
    jaw_region: tuple[slice, slice]
    eyes: Image
    eye_region: tuple[slice, slice]
    mouth: MouthPainter
    mouth_region: tuple[slice, slice]
    depth: Float
    camera: NDArray[np.float64]


def rigidity(x: Float, y: Float) -> Float:
    """1 on the head, falling to 0 towards the background: how much of the head's motion a point at (x, y) shares."""
    return 1 - smoothstep(0.95, 1.5, np.hypot(x / 1.3, (y - 0.05) / 1.85).astype(np.float32))


def _camera(recording: Recording, canvas: Canvas) -> NDArray[np.float64]:
    r = recording
    scale = canvas.scale * FRAME_WIDTH / (r.size * r.zoom)
    angle = np.radians(r.tilt)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    eyes_in_frame = np.array([r.size / 2, r.size * EYE_LINE]) + np.asarray(r.shift) * r.size / FRAME_WIDTH
    eyes_on_canvas = canvas.to_pixels(np.zeros(2, np.float32)).astype(np.float64)
    return np.hstack([turn, (eyes_on_canvas - turn @ eyes_in_frame)[:, None]])


def _drop_jaw(picture: Image, canvas: Canvas, recording: Recording, box: Box) -> Image:
    """The lower face with the jaw at every level."""
    region = canvas.within(box)
    rows, columns = canvas.cut(box)
    lips, chin = recording.identity.mouth_y, recording.identity.chin
    reach = smoothstep(lips - 0.12, lips + 0.22, region.y) * (1 - smoothstep(chin + 0.05, box.bottom, region.y))
    reach = reach * (1 - 0.55 * smoothstep(0.45, 1.0, np.abs(region.x)))
    base_x, base_y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32), np.arange(rows.start, rows.stop, dtype=np.float32)
    )
    levels = np.linspace(0, JAW_DROP, JAW_LEVELS)
    return np.stack(
        [
            cv2.remap(picture, base_x, (base_y - drop * canvas.scale * reach).astype(np.float32), cv2.INTER_LINEAR)
            for drop in levels
        ]
    )


def _to_pixels(image: Float) -> Image:
    rgb = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def build_stage(recording: Recording) -> Stage:
    """Paint a recording. Pure: the same record gives the same bytes."""
    identity = recording.identity
    canvas = Canvas(CANVAS_BOX, recording.size / FRAME_WIDTH * OVERSAMPLING)
    head = build_head(identity, canvas, generator(*recording.identity_key, "head"))
    dressed = dress(head, canvas, generator(*recording.key, "clothes"), recording.collar)
    light, shine = illuminate(dressed.depth, canvas.scale, recording.light)
    shown = light ** (1 / GAMMA)
    lit = np.clip(dressed.albedo * shown + (dressed.gloss * shine)[..., None], 0, 1).astype(np.float32)
    back = paint_background(canvas, generator(*recording.key, "background"), recording.background, recording.light)

    eyes = eyes_box(identity)
    eye_region = canvas.cut(eyes)
    painted = paint_eyes(lit[eye_region], canvas.within(eyes), identity, recording.gaze, shown[eye_region])
    lit[eye_region] = painted[0]
    lay(back, lit, dressed.cover)
    picture = _to_pixels(back)

    jaw = Box(-1.1, identity.mouth_y - 0.34, 1.1, 2.3)
    mouth = mouth_box(identity)
    jaw_canvas = canvas.within(jaw)
    mouth_region = jaw_canvas.cut(mouth)
    rows, columns = canvas.cut(jaw)
    on_canvas = (
        slice(rows.start + mouth_region[0].start, rows.start + mouth_region[0].stop),
        slice(columns.start + mouth_region[1].start, columns.start + mouth_region[1].stop),
    )
    painter = MouthPainter(
        identity=identity,
        canvas=jaw_canvas.within(mouth),
        light=blur(shown[on_canvas], 0.05 * canvas.scale),
        shine=blur(shine[on_canvas], 0.05 * canvas.scale),
    )
    relief = blur(np.clip(head.depth, 0, None) * head.cover, 0.05 * canvas.scale)
    return Stage(
        recording=recording,
        canvas=canvas,
        picture=picture,
        jaws=_drop_jaw(picture, canvas, recording, jaw),
        jaw_region=(rows, columns),
        eyes=np.stack([_to_pixels(image) for image in painted]),
        eye_region=eye_region,
        mouth=painter,
        mouth_region=mouth_region,
        depth=(relief - TURNING_DEPTH) * rigidity(canvas.x, canvas.y),
        camera=_camera(recording, canvas),
    )
