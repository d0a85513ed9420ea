"""Eq. 4: the lip-reading loss of AV-SyncNet and, through the frozen AV-SyncNet, of SyncTalklip."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def lip_reading_loss(*, logits: Tensor, target: Tensor, padding_index: int, smoothing: float, reduction: str) -> Tensor:
    """L_lip = - sum over s of log p(w_s given w_<s, f^v), label-smoothed: eps / (V - 1) on every wrong token.

    fairseq's label smoothing (afc77bdf) as AV-HuBERT and TalkLip use it. TalkLip sums over tokens and batch and
    weighs the sum by 1e-5; `mean` divides by the tokens, so that its weight does not depend on batch size.

    Args:
        logits: [B, S, V].
        target: int64 [B, S]; `padding_index` where there is no token.
        padding_index: token that does not count.
        smoothing: eps, 0..1.
        reduction: `sum` or `mean` over tokens.

    Returns:
        Scalar >= 0, nats (a token where `mean`); lower is better.
    """
    log_p = F.log_softmax(logits.float(), dim=-1)
    kept = target.ne(padding_index)
    nll = -log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    wrong = -log_p.sum(-1) - nll
    spread = smoothing / (logits.shape[-1] - 1)
    total = (((1 - smoothing) * nll + spread * wrong) * kept).sum()
    return total / kept.sum().clamp(min=1) if reduction == "mean" else total
