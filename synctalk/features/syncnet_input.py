"""Pictures as SyncNet sees them, in training, screening and evaluation alike.

Legend: T frames, H/W pixels, C channels, S side of SyncNet's image.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.models.syncnet import SyncNetConfig
from synctalk.shards.read import Sample

View = Literal["frame", "face", "tracked", "mouth"]
"""`frame`: the whole frame; `tracked`: SyncNet's own crop; `face`, `mouth`: the crops that shards hold."""


def judge_pictures(pictures: NDArray[np.uint8], config: SyncNetConfig) -> NDArray[np.uint8]:
    """Pictures as the judge sees them: resized to its image size, BGR or grey, channels first.

    Args:
        pictures: RGB uint8 [T, H, W, 3] or grey uint8 [T, H, W].
        config: says size and channels.

    Returns:
        uint8 [T, C, S, S], C = 3 (BGR) or 1.
    """
    size = (config.image_size, config.image_size)
    if pictures.ndim == 4 and config.in_channels == 1:
        pictures = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures])
    if pictures.shape[1:3] != size:
        pictures = np.stack([cv2.resize(picture, size) for picture in pictures])
    if pictures.ndim == 3:
        return np.ascontiguousarray(pictures[:, None])
    return np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2))


def stored_pictures(sample: Sample, view: View) -> NDArray[np.uint8]:
    """The pictures of a shard sample that a view is made of.

    Raises:
        ValueError: whole frames are not in shards.
    """
    if view in ("frame", "tracked"):
        raise ValueError("syncnet.view: whole frames are not in shards; give a checkpoint, or train on face or mouth")
    return sample.mouth if view == "mouth" else sample.faces
