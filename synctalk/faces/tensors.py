"""Faces as the generators take them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def face_tensor(faces: NDArray[np.uint8]) -> Tensor:
    """RGB uint8 [N, S, S, 3] -> float [N, 3, S, S] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(faces)).permute(0, 3, 1, 2).float() / 255
