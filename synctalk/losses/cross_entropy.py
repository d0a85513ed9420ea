"""Binary cross-entropy of probabilities, as the adversary and Wav2Lip's expert have it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def binary_cross_entropy(probability: Tensor, target: float) -> Tensor:
    """Mean over all elements of -log p for target 1, -log (1 - p) for target 0.

    In float32: torch refuses it under autocast, where probabilities have too few digits.
    """
    with torch.autocast(probability.device.type, enabled=False):
        return F.binary_cross_entropy(probability.float(), torch.full_like(probability, target, dtype=torch.float32))
