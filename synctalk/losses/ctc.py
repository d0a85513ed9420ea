"""CTC (Graves et al. 2006): beside the decoder's cross-entropy in readers of small corpora and in the Conformer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def ctc_loss(*, log_probs: Tensor, n_frames: Tensor, pieces: Tensor, n_pieces: Tensor, blank: int) -> Tensor:
    """L_ctc = - log of the sum over all alignments of the pieces to the frames.

    Args:
        log_probs: [B, T, V].
        n_frames: int64 [B], frames of each clip.
        pieces: int64 [B, S], without an end; what lies beyond `n_pieces` is not read.
        n_pieces: int64 [B].
        blank: number of the blank.

    Returns:
        Scalar >= 0, nats a piece; 0 for clips with fewer frames than their pieces need. Lower is better.
    """
    return F.ctc_loss(log_probs.float().transpose(0, 1), pieces, n_frames, n_pieces, blank=blank, zero_infinity=True)
