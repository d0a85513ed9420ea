"""Eq. 3: masked cluster prediction, the pre-training objective of AV-HuBERT and AV-SyncNet."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def masked_prediction_loss(*, logits: Tensor, labels: Tensor, masked: Tensor, padding: Tensor, alpha: float) -> Tensor:
    """L = - sum over masked t of log p_t(z_t) - alpha * sum over unmasked t of log p_t(z_t); here each sum is a mean.

    The paper sums; a mean over each set keeps `alpha` and the learning rate independent of clip length and batch size.

    Args:
        logits: [B, T, K] cluster logits.
        labels: int64 [B, T] cluster z_t of each frame.
        masked: bool [B, T], true in the union of the audio mask and the video mask.
        padding: bool [B, T], true where there is no frame.
        alpha: weight of the unmasked frames; 0 leaves them out.

    Returns:
        Scalar >= 0, nats a frame; lower is better. A set without frames adds 0.
    """
    nll = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    on_masked, on_seen = masked & ~padding, ~masked & ~padding
    loss = (nll * on_masked).sum() / on_masked.sum().clamp(min=1)
    if alpha:
        loss = loss + alpha * (nll * on_seen).sum() / on_seen.sum().clamp(min=1)
    return loss
