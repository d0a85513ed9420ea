"""The clips of the report: videos of every method side by side, and their faces."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synctalk.evaluation.videos.corpus import ClipVideo, decode_clip
from synctalk.faces.crop import crop_faces, mouth_region
from synctalk.media import write_video

STRIP_FRAMES = 10
"""Faces of a clip that the strip shows, evenly spread."""
FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.5)
"""Face and scale of the names on a contact sheet."""
MARGIN = 6
"""Pixels to the left and right of a name."""


@dataclass(frozen=True)
class VideoView:
    """One method's video of a clip.

    Attributes:
        method: its name.
        mp4: the video file.
        strip: faces side by side, RGB [S, 10 S, 3].
        mouth: left, top, width and height of what holds the mouth in every frame, as shares of the picture.
    """

    method: str
    mp4: bytes
    strip: NDArray[np.uint8]
    mouth: tuple[float, float, float, float]

    @property
    def strip_uri(self) -> str:
        """The strip as a data URI."""
        return data_uri("image/jpeg", jpeg(self.strip))


@dataclass(frozen=True)
class ClipView:
    """One clip: the truth first, then every method."""

    corpus: str
    id: str
    transcript: str
    videos: list[VideoView]


def data_uri(kind: str, blob: bytes) -> str:
    """Bytes as a data URI of a MIME type."""
    return f"data:{kind};base64,{base64.b64encode(blob).decode()}"


def face_strip(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Faces [T, S, S, 3], evenly spread over the clip, side by side: [S, 10 S, 3]."""
    chosen = np.linspace(0, len(faces) - 1, STRIP_FRAMES).round().astype(int)
    return np.concatenate(list(faces[chosen]), axis=1)


def label_width(names: Sequence[str]) -> int:
    """Pixels that the longest of `names` takes up on a contact sheet."""
    return max(cv2.getTextSize(name, *FONT, 1)[0][0] for name in names) + 2 * MARGIN


def contact_sheet(clip: ClipView) -> NDArray[np.uint8]:
    """The strips of all videos of a clip, one below the other, with the methods' names on the left: RGB [H, W, 3]."""
    rows, width = [], label_width([video.method for video in clip.videos])
    for video in clip.videos:
        label = np.full((video.strip.shape[0], width, 3), 255, np.uint8)
        cv2.putText(label, video.method, (MARGIN, len(label) // 2), *FONT, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(np.concatenate([label, video.strip], axis=1))
    return np.concatenate(rows)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """An RGB picture [H, W, 3] as JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def mouth_box(boxes: NDArray[np.int32], width: int, height: int) -> tuple[float, float, float, float]:
    """What holds the mouth region of face boxes [T, 4] (x1, y1, x2, y2) in every frame: left, top, width, height as
    shares of a picture of `width` x `height`.
    """
    unit = 64  # any that sixteenths divide
    rows, columns = mouth_region(unit)
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    left, right = x1 + (x2 - x1) * columns.start / unit, x1 + (x2 - x1) * columns.stop / unit
    top, bottom = y1 + (y2 - y1) * rows.start / unit, y1 + (y2 - y1) * rows.stop / unit
    x, y = max(0.0, float(left.min())), max(0.0, float(top.min()))
    right_most, lowest = min(float(width), float(right.max())), min(float(height), float(bottom.max()))
    shares = x / width, y / height, (right_most - x) / width, (lowest - y) / height
    return tuple(round(share, 4) for share in shares)  # type: ignore[return-value]  # four of them


def video_view(method: str, video: ClipVideo, face_size: int) -> VideoView:
    """A video for the page. Our generated files stand as they are; files of whole clips are encoded anew, so that any
    browser plays just the stretch.
    """
    frames, pcm = decode_clip(video)
    if video.generated is not None and not video.whole:
        mp4 = video.generated.read_bytes()
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            write_video(path, frames, audio=pcm, crf=20)
            mp4 = path.read_bytes()
    boxes, (height, width) = video.sample.boxes[: len(frames)], frames.shape[1:3]
    strip = face_strip(crop_faces(frames, boxes, face_size))
    return VideoView(method, mp4, strip, mouth_box(boxes, width, height))


def clip_data(clip: ClipView) -> dict[str, Any]:
    """A clip as the gallery's script reads it."""
    videos = [
        {
            "method": video.method,
            "mp4": base64.b64encode(video.mp4).decode(),
            "strip": video.strip_uri,
            "mouth": video.mouth,
        }
        for video in clip.videos
    ]
    about = {"corpus": clip.corpus, "id": clip.id, "name": f"{clip.corpus} {clip.id}", "transcript": clip.transcript}
    return {**about, "videos": videos}


def choose_clips(scores: pd.DataFrame, count: int) -> list[str]:
    """Clips to show, by LSE-C of the variant: the worst, the best and evenly between, so that none is hand-picked."""
    ordered = scores.sort_values(["lse_c", "id"])["id"].tolist()
    chosen = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[index] for index in dict.fromkeys(chosen.tolist())]
