"""Weights and pictures that are a function of names and numbers, the same on any machine."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def weight(key: str, shape: Sequence[int]) -> Tensor:
    """Of a size that keeps features from growing or dying; variances and heads are positive."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if key.endswith("running_var") or key.startswith("lin"):
        drawn = 0.5 + random.random_sample(tuple(shape))
    elif len(shape) < 2:
        drawn = (0.05 if key.endswith(("bias", "mean")) else 1.0) * (1 + 0.1 * random.standard_normal(tuple(shape)))
    else:
        drawn = random.standard_normal(tuple(shape)) * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(drawn, np.float32))


def filled(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    return {key: weight(key, shape) for key, shape in shapes.items()}


def pictures(n: int, height: int, width: int, seed: int) -> Tensor:
    """RGB uint8 [n, 3, height, width]: waves with a little noise."""
    k, c, y, x = np.ogrid[:n, :3, :height, :width]
    noise = np.random.RandomState(seed).standard_normal((n, 3, height, width))
    wave = 120 + 80 * np.sin((k + 1) * 0.3 + x / (7 + seed) + y / 11 + c) + 12 * noise
    return torch.from_numpy(np.clip(np.rint(wave), 0, 255).astype(np.uint8))
