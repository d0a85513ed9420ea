"""What passes from the crop and feature stages into shards, and the columns of the shard index.

Legend: T video frames at 25 fps; boxes in whole pixels of the stored frame; transforms map frame pixels to mouth
    pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

CROP_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("clip", pa.string()),
        ("start", pa.int64()),
        ("audio_start", pa.int64()),
        ("n_frames", pa.int64()),
        ("frame_height", pa.int64()),
        ("frame_width", pa.int64()),
        ("boxes", pa.binary()),
        ("mouth_transforms", pa.binary()),
        ("faces", pa.binary()),
        ("mouth", pa.binary()),
    ]
)
SCREENING_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("n_windows", pa.int64()),
        ("offset", pa.int64()),
        ("distance", pa.float64()),
        ("confidence", pa.float64()),
        ("kept", pa.bool_()),
        ("audio_start", pa.int64()),
    ]
)
"""One row a crop. `offset` (frames by which the audio comes early), `distance` and `confidence` are null where nothing
was measured; `audio_start` is where screening leaves the audio, another frame than the crop's where an
offset was repaired.
"""
FEATURE_SCHEMA = pa.schema([("id", pa.string()), ("fbank", pa.binary()), ("mfcc", pa.binary()), ("mel", pa.binary())])
INDEX_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("id", pa.string()),
        ("clip", pa.string()),
        ("split", pa.string()),
        ("speaker", pa.string()),
        ("transcript", pa.string()),
        ("start", pa.int64()),
        ("audio_start", pa.int64()),
        ("n_frames", pa.int64()),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
    ]
)


@dataclass(frozen=True)
class Crop:
    """One face of a clip, as the crop stage stores it.

    Attributes:
        id: of the sample: the clip's, unless several people of it are kept as samples of their own.
        clip: id of the clip that it was cut from.
        start: first frame of the track in the file's 25 fps time line.
        audio_start: the frame of the audio's time line that belongs to frame `start`; another one where screening
            repaired an offset, and then it may lie before the audio begins.
        n_frames: T.
        frame_height, frame_width: of the stored video, pixels.
        boxes: int32 [T, 4], the face box that was cut, kept for pasting back.
        mouth_transforms: float32 [T, 2, 3], frame pixels to mouth pixels.
        faces: JPEG mosaic of RGB face crops; empty where the corpus keeps no faces.
        mouth: JPEG mosaic of grey mouth regions.
    """

    id: str
    clip: str
    start: int
    audio_start: int
    n_frames: int
    frame_height: int
    frame_width: int
    boxes: NDArray[np.int32]
    mouth_transforms: NDArray[np.float32]
    faces: bytes
    mouth: bytes


def crop_to_row(crop: Crop) -> dict[str, object]:
    """Row of `CROP_SCHEMA`."""
    return {
        **vars(crop),
        "boxes": crop.boxes.astype("<i4").tobytes(),
        "mouth_transforms": crop.mouth_transforms.astype("<f4").tobytes(),
    }


def row_to_crop(row: dict[str, object]) -> Crop:
    """The inverse of `crop_to_row`."""
    boxes, transforms = row["boxes"], row["mouth_transforms"]
    assert isinstance(boxes, bytes)
    assert isinstance(transforms, bytes)
    arrays = {
        "boxes": np.frombuffer(boxes, "<i4").reshape(-1, 4),
        "mouth_transforms": np.frombuffer(transforms, "<f4").reshape(-1, 2, 3),
    }
    return Crop(**{**row, **arrays})  # type: ignore[arg-type]  # the schema holds exactly Crop's fields


@dataclass(frozen=True)
class IndexRow:
    """Where a sample lies: shard file, byte offset and size of its tar members, and what is known of it unopened.

    `id`, `clip`, `start` and `audio_start` are those of `Crop`.
    """

    key: str
    id: str
    clip: str
    split: str
    speaker: str
    transcript: str
    start: int
    audio_start: int
    n_frames: int
    shard: str
    offset: int
    size: int
    sha256: str


def npy(array: NDArray[Any]) -> bytes:
    """The array as bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
