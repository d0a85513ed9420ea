"""The objective of our own SyncNet judge: of all shifts within a clip, the true one is nearest. Not a loss of the
paper.

SyncNet was trained with a contrastive loss on pairs (Chung & Zisserman 2016); a softmax over the very shifts that
LSE compares learns from hundreds of clips instead of hundreds of hours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def offset_loss(*, lip: Tensor, audio: Tensor, max_shift: int) -> Tensor:
    """- mean_i log softmax_j(-||l_i - a_j||_2) at j = i, over |i - j| <= `max_shift`.

    Args:
        lip: embeddings of the windows of each clip, [B, N, D].
        audio: of the same windows, [B, N, D].
        max_shift: farthest shift that competes, frames.

    Returns:
        Scalar >= 0, nats; that of a guess is about log(2 max_shift + 1).
    """
    n_windows = lip.shape[1]
    index = torch.arange(n_windows, device=lip.device)
    far = (index[:, None] - index[None]).abs() > max_shift
    logits = -torch.cdist(lip.float(), audio.float()).masked_fill(far, float("inf"))
    return F.cross_entropy(logits.flatten(0, 1), index.repeat(len(lip)))
