"""Frames of a speaking face, and the track of its box and landmarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.synthetic.canvas import Float, Image
from synctalk.corpora.synthetic.motion import Motion
from synctalk.corpora.synthetic.stage import JAW_LEVELS, PIVOT, Stage, rigidity
from synctalk.corpora.synthetic.visemes import Shape

GRID = 4
"""Displacements are computed on every fourth pixel: they are smooth."""
_APERTURE = list(Shape.__dataclass_fields__).index("aperture")


@dataclass(frozen=True)
class DrawnTrack:
    """Boxes float32 [T, 4] (x1, y1, x2, y2) and landmarks float32 [T, 5, 2], pixels of the frame.

    Landmarks in the order of SCRFD and YuNet: the eye at the left of the image, the other eye, tip of the nose, the
    corner of the mouth at the left of the image, the other corner. The corners are those of the mouth at rest, carried
    by the head and not by speech, so that regions cut by them stand still; so does the box's lower edge.
    """

    boxes: Float
    landmarks: Float


def _displace(motion: Motion, frame: slice, x: Float, y: Float, share: Float, depth: Float) -> tuple[Float, Float]:
    """What a pixel of the moved face reads, minus its own place; face units.

    Args:
        motion: poses.
        frame: frames, broadcast against the points' leading axis.
        x, y: the points.
        share: `rigidity` there.
        depth: depth there, relative to the axis of turning and faded out, as `Stage.depth`.
    """

    def at(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values[frame].reshape(-1, *[1] * (x.ndim - 1))

    roll, yaw, pitch = (np.radians(at(v)) for v in (motion.roll, motion.yaw, motion.pitch))
    cos, sin = np.cos(roll) / at(motion.zoom), np.sin(roll) / at(motion.zoom)
    rx, ry = x - PIVOT[0] - at(motion.dx), y - PIVOT[1] - at(motion.dy)
    move_x = share * ((cos * rx + sin * ry) / np.cos(yaw) - rx - at(motion.dx)) - depth * np.sin(yaw)
    move_y = share * ((cos * ry - sin * rx) / np.cos(pitch) - ry - at(motion.dy)) - depth * np.sin(pitch)
    return move_x.astype(np.float32), move_y.astype(np.float32)


def render(stage: Stage, shapes: NDArray[np.float32], motion: Motion) -> Iterator[Image]:
    """Frames RGB uint8 [S, S, 3], one after the other.

    Args:
        stage: the painted recording.
        shapes: mouth shapes [T, N_SHAPE].
        motion: head pose and lids, T frames.
    """
    size, canvas = stage.recording.size, stage.canvas
    camera = stage.camera.astype(np.float32)
    pixel_x, pixel_y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    base = np.dstack([camera[r, 0] * pixel_x + camera[r, 1] * pixel_y + camera[r, 2] for r in (0, 1)])
    n_grid = size // GRID
    coarse = cv2.resize(base, (n_grid, n_grid), interpolation=cv2.INTER_AREA)
    depth = cast(Float, cv2.remap(stage.depth, coarse[..., 0], coarse[..., 1], cv2.INTER_LINEAR))
    x = canvas.box.left + (coarse[..., 0] + 0.5) / canvas.scale
    y = canvas.box.top + (coarse[..., 1] + 0.5) / canvas.scale
    share = rigidity(x, y)
    jaw_level = np.clip(np.round(shapes[:, _APERTURE] * (JAW_LEVELS - 1)), 0, JAW_LEVELS - 1).astype(int)
    lid_level = np.round(motion.lids * (len(stage.eyes) - 1)).astype(int)
    mouths = stage.jaws[(jaw_level, *stage.mouth_region)]
    stage.mouth.paint(mouths, shapes)
    picture = stage.picture.copy()
    jaw_region = picture[stage.jaw_region]
    remap: Any = cv2.remap  # its stubs forget that a map of two channels needs no second one
    for t in range(len(shapes)):
        jaw_region[...] = stage.jaws[jaw_level[t]]
        jaw_region[stage.mouth_region] = mouths[t]
        picture[stage.eye_region] = stage.eyes[lid_level[t]]
        move = np.dstack([m[0] for m in _displace(motion, slice(t, t + 1), x[None], y[None], share, depth)])
        places = cv2.resize(move * canvas.scale, (size, size), interpolation=cv2.INTER_LINEAR)
        places += base
        frame = remap(picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        yield cast(Image, cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB))


def _project(stage: Stage, motion: Motion, points: Float) -> Float:
    """Where points of the resting face, face units [n, 2], lie in the frames, pixels [T, n, 2]."""
    canvas = stage.canvas
    places = np.repeat(points[None].astype(np.float32), motion.n_frames, 0)
    every = slice(None)
    for _ in range(6):
        x, y = places[..., 0], places[..., 1]
        pixels = canvas.to_pixels(places)
        px, py = pixels[..., 0], pixels[..., 1]
        depth = cast(Float, cv2.remap(stage.depth, px, py, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        move = np.stack(_displace(motion, every, x, y, rigidity(x, y), depth), -1)
        places = (points - move).astype(np.float32)
    turn, offset = stage.camera[:, :2], stage.camera[:, 2]
    on_canvas = canvas.to_pixels(places).astype(np.float64)
    return ((on_canvas - offset) @ np.linalg.inv(turn).T).astype(np.float32)


def track(stage: Stage, motion: Motion) -> DrawnTrack:
    """The published track of an utterance: exact landmarks, and a box like SCRFD's around forehead, ears and chin."""
    i = stage.recording.identity
    corner, lips = 0.86 * i.lips.half_width, i.mouth_y + i.lips.corner_drop - 0.03
    eyes, nose = [(-i.eye_spacing, 0.0), (i.eye_spacing, 0.0)], (0.0, i.nose_length - 0.1)
    landmarks = np.array([*eyes, nose, (-corner, lips), (corner, lips)], np.float32)
    rim = np.array([(-0.93, 0.3), (0.93, 0.3), (0.0, -0.98), (0.0, i.chin + 0.03)], np.float32)
    edges = _project(stage, motion, rim)
    boxes = np.stack([edges[:, :, 0].min(1), edges[:, :, 1].min(1), edges[:, :, 0].max(1), edges[:, :, 1].max(1)], -1)
    return DrawnTrack(boxes=boxes.astype(np.float32), landmarks=_project(stage, motion, landmarks))
