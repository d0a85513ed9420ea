"""Eq. 7: the reconstruction loss."""

from __future__ import annotations

from torch import Tensor


def reconstruction_loss(*, generated_faces: Tensor, target_faces: Tensor, weight: Tensor | None = None) -> Tensor:
    """L_rec = mean over frames of ||v_i - v^_i||_1, a mean over pixels too.

    Args:
        generated_faces: v^ [N, 3, S, S], 0..1.
        target_faces: v, the same shape.
        weight: of each pixel, [S, S]; None weighs all alike, as the paper.

    Returns:
        Scalar in 0..1; lower is better.
    """
    error = (generated_faces - target_faces).abs()
    if weight is None:
        return error.mean()
    return (error * weight).mean() / weight.mean()
