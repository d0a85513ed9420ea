"""Eq. 3: masked cluster prediction, the pre-training objective of AV-HuBERT and AV-SyncNet."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class MaskedPrediction:
    """The two sums of eq. 3, each as a mean: scalars >= 0, nats a frame; lower is better. 0 of no frames.

    Attributes:
        masked: over the frames in the union of the audio mask and the video mask.
        unmasked: over the others, which alpha weighs.
    """

    masked: Tensor
    unmasked: Tensor


def masked_prediction_loss(*, logits: Tensor, labels: Tensor, masked: Tensor, padding: Tensor) -> MaskedPrediction:
    """L = - sum over masked t of log p_t(z_t) - alpha * sum over unmasked t of log p_t(z_t); here each sum is a mean.

    The paper sums; a mean over each set keeps alpha and the learning rate independent of clip length and batch size.

    Args:
        logits: [B, T, K] cluster logits.
        labels: int64 [B, T] cluster z_t of each frame.
        masked: bool [B, T], true in the union of the audio mask and the video mask.
        padding: bool [B, T], true where there is no frame.
    """
    nll = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction="none")

    def mean(frames: Tensor) -> Tensor:
        return (nll * frames).sum() / frames.sum().clamp(min=1)

    return MaskedPrediction(masked=mean(masked & ~padding), unmasked=mean(~masked & ~padding))
