"""Lip-sync error (paper tables 1, 3 and 4: LSE-C, LSE-D) from SyncNet's embeddings, and the offset that both hide.

Legend: N windows, D embedding, V the greatest shift, M = 2V + 1 shifts.
Source: joonson/syncnet_python @6efbb1c (`evaluate`), Rudrabha/Wav2Lip @5c90fa9 (evaluation/scores_LSE).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from synctalk.metrics.shift import VSHIFT

SMOOTHING = 9
"""Windows of the median filter over the frame-wise confidence."""


@dataclass(frozen=True)
class LipSync:
    """How far the lips are from the audio.

    Attributes:
        offset: frames by which the audio comes early (positive) or late at the best shift, -V..V. Distance and
            confidence cannot see it, so report it beside them.
        distance: LSE-D, the mean distance at the best shift; lower is better.
        confidence: LSE-C, the median over the shifts minus LSE-D; higher is better.
        mean_distances: float32 [M], mean distance for each shift, from audio V frames early to V late.
        frame_confidence: float32 [N], the same median minus each window's distance at the best shift.
        smooth_confidence: float32 [N], its median over 9 windows (zeros beyond the ends).
    """

    offset: int
    distance: float
    confidence: float
    mean_distances: Tensor
    frame_confidence: Tensor
    smooth_confidence: Tensor


def lse(lip: Tensor | NDArray[np.float32], audio: Tensor | NDArray[np.float32], vshift: int = VSHIFT) -> LipSync:
    """Compare each lip window with the audio windows up to `vshift` frames away.

    Beyond the ends of the clip a window is compared with zeros, as in the released scorer, so the confidence of a
    clip shorter than about 2V windows says as much about its length as about its lips.

    Args:
        lip: embeddings [N, D], not normalised.
        audio: embeddings [N, D].
        vshift: V.

    Raises:
        ValueError: shapes that differ, or no window.
    """
    lip_ND, audio_ND = torch.as_tensor(lip).float(), torch.as_tensor(audio).float()
    if lip_ND.shape != audio_ND.shape or lip_ND.dim() != 2 or len(lip_ND) == 0:
        raise ValueError(f"embeddings [N, D] of one shape are needed; got {list(lip_ND.shape)}, {list(audio_ND.shape)}")
    n = len(lip_ND)
    padded = F.pad(audio_ND, (0, 0, vshift, vshift))
    distances_NM = torch.stack(
        [F.pairwise_distance(lip_ND, padded[shift : shift + n]) for shift in range(2 * vshift + 1)], dim=1
    )
    mean_distances = distances_NM.mean(0)
    best = int(mean_distances.argmin())
    median = mean_distances.median()
    frame_confidence = median - distances_NM[:, best]
    half = SMOOTHING // 2
    return LipSync(
        offset=vshift - best,
        distance=float(mean_distances[best]),
        confidence=float(median - mean_distances[best]),
        mean_distances=mean_distances,
        frame_confidence=frame_confidence,
        smooth_confidence=F.pad(frame_confidence, (half, half)).unfold(0, SMOOTHING, 1).median(-1).values,
    )
