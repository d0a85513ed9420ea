"""Wav2Lip's losses of synchronisation (Prajwal et al. 2020, eqs. 1-2), on cosines of audio and lips in 0..1."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk.losses.cross_entropy import binary_cross_entropy

EPSILON = 1e-7
"""Cosines are kept this far from 0 and 1: rounding takes them over 1, where the logarithm has no value."""


def cosines(audio: Tensor, face: Tensor) -> Tensor:
    """P_sync of embeddings [..., D] of length 1 that end in a ReLU: [...], 0..1 (eq. 1)."""
    return (audio.float() * face.float()).sum(-1).clamp(EPSILON, 1 - EPSILON)


def sync_loss(*, audio: Tensor, face: Tensor) -> Tensor:
    """E_sync = mean of -log P_sync over made windows (eq. 2): the generator's term.

    Args:
        audio: embeddings of length 1, [N, D].
        face: of the made lips, the same.
    """
    return binary_cross_entropy(cosines(audio, face), 1.0)


def wav2lip_expert_loss(*, audio: Tensor, face: Tensor) -> Tensor:
    """Binary cross-entropy of P_sync: windows with their own audio against those with other audio of the same clip.

    The peer draws one pair a clip, in sync or not with even odds; here every pair of the drawn windows counts, both
    kinds with a half: the same mean, from more pairs.

    Args:
        audio: embeddings of the windows of each clip, [B, W, D] with W >= 2.
        face: of the same windows.
    """
    probability = cosines(audio[:, None], face[:, :, None])
    own = torch.eye(audio.shape[1], dtype=torch.bool, device=audio.device).expand_as(probability)
    return (binary_cross_entropy(probability[own], 1.0) + binary_cross_entropy(probability[~own], 0.0)) / 2
