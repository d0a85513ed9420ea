"""Eq. 5: the alignment loss of AV-SyncNet."""

from __future__ import annotations

from torch import Tensor


def alignment_loss(*, audio: Tensor, video: Tensor, padding: Tensor, temperature: float) -> Tensor:
    """L_av = F(||f^a - f^v||_1 * tau), the mean over frames.

    F, "a linear layer" in the paper, is the average over the D dimensions: a layer that is trained on this loss
    alone can only learn to shrink the distance to nothing.

    Args:
        audio: f^a [B, T, D], from an audio-only pass.
        video: f^v [B, T, D], from a video-only pass of the same encoder.
        padding: bool [B, T], true where there is no frame.
        temperature: tau.

    Returns:
        Scalar >= 0; lower is closer.
    """
    distance = (audio.float() - video.float()).abs().mean(-1) * temperature
    return (distance * ~padding).sum() / (~padding).sum().clamp(min=1)
