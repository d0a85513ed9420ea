"""The second pass over a video: frames with generated faces in them, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.faces.blend import blend_back, colour_map, map_colours
from synctalk.faces.crop import crop_face, whole_boxes
from synctalk.faces.track import FaceTrack
from synctalk.generation.faces import make_faces
from synctalk.generation.playback import Playback, n_held, played_frames
from synctalk.generation.shots import tracks_of_frames
from synctalk.media.probe import VideoStream
from synctalk.models.generator import FaceGenerator
from synctalk.timebase import FPS

BATCH_FRAMES = 64


@dataclass(frozen=True)
class TrackLook:
    """What stays the same over a track: its first face [1, S, S, 3], and the map from made to real colours [4, 3]."""

    reference: NDArray[np.uint8]
    colours: NDArray[np.float64]


def _with_face(
    model: FaceGenerator,
    frames: list[NDArray[np.uint8]],
    numbers: list[int],
    track: FaceTrack,
    known: TrackLook | None,
    embedding: Tensor,
) -> tuple[list[NDArray[np.uint8]], TrackLook]:
    """Frames of one track with generated faces in them, and what later frames of the track need; None begins one."""
    inside = [number - track.start for number in numbers]
    boxes = whole_boxes(track.boxes[inside], (frames[0].shape[0], frames[0].shape[1]))
    faces = np.stack([crop_face(f, box, model.face_size) for f, box in zip(frames, boxes, strict=True)])
    reference = faces[:1] if known is None else known.reference
    made = make_faces(model, faces, reference, embedding, BATCH_FRAMES)
    known = known or TrackLook(reference, colour_map(made, faces))
    made = map_colours(made, known.colours)
    return [blend_back(frame, face, box) for frame, face, box in zip(frames, made, boxes, strict=True)], known


def dubbed_frames(
    model: FaceGenerator,
    path: Path,
    stream: VideoStream,
    tracks: list[FaceTrack],
    shown: Playback,
    embedding: Tensor,
) -> Iterator[NDArray[np.uint8]]:
    """The second pass: every frame that is shown, with the faces of `tracks` made anew, in bounded memory.

    The reference of a track is its first face that is shown. A frame takes the row of `embedding`, of audio at 25 a
    second, that is nearest to its time.
    """
    rows = np.minimum(np.floor(shown.starts_s * FPS + 0.5).astype(np.int64), len(embedding) - 1)
    covering = tracks_of_frames(tracks, stream.n_frames)
    looks: dict[int, TrackLook] = {}
    held = n_held(stream, BATCH_FRAMES)
    waiting: list[NDArray[np.uint8]] = []
    numbers: list[int] = []
    n_done = 0

    def flush() -> list[NDArray[np.uint8]]:
        images = waiting
        said = embedding[torch.from_numpy(rows[n_done : n_done + len(numbers)])]
        for index in covering[numbers[0]]:
            images, looks[index] = _with_face(model, images, numbers, tracks[index], looks.get(index), said)
        return images

    for number, frame in played_frames(path, stream, shown.legs, held):
        if numbers and (len(numbers) == held or covering[number] != covering[numbers[0]]):
            yield from flush()
            n_done += len(numbers)
            waiting, numbers = [], []
        waiting.append(frame)
        numbers.append(number)
    if numbers:
        yield from flush()
