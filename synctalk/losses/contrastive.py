"""Eqs. 11-12: the cross-modal contrastive loss, in the three forms that go by that name.

Legend: K generated frames (the paper's Y), D embedding, N negatives a frame.

`released` is what the authors ran (SyncTalkLip models/learn_sync.py @ 4778f0d): embeddings of length 1, so it is
bounded. `printed` is eq. 12 with a hinge, which keeps it from running away. `infonce` is TalkLip's (@ 7ed53ee), the
ablation "w/o novel contrastive learning".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_NEGATIVES = 100


def theta(*, audio: Tensor, video: Tensor, tau: float) -> Tensor:
    """Eq. 11: theta(a_x, v_y) = F(||f^a_x - f^v_y||_1 * tau) on the last axis; F averages over D, so theta >= 0."""
    return (audio - video).abs().mean(-1) * tau


def draw_negatives(n_frames: int, group: Tensor, rng: torch.Generator) -> Tensor:
    """Indices of other frames for every frame, drawn without replacement: int64 [N, K], N = min(100, K // 2).

    Args:
        n_frames: K.
        group: int64 [K]; a frame's negatives come from its own group (all zero: from the whole batch; clip number:
            in clip). A group too small for N others lends from the rest.
        rng: draws them.
    """
    n_negatives = min(MAX_NEGATIVES, n_frames // 2)
    order = torch.rand(n_frames, n_frames, generator=rng)
    order += 2.0 * (group.cpu()[:, None] != group.cpu()[None, :])
    order.fill_diagonal_(float("inf"))
    return order.argsort(dim=1)[:, :n_negatives].T.contiguous()


def contrastive_loss(
    *,
    audio: Tensor,
    video: Tensor,
    negatives: Tensor,
    form: str,
    temperature: float = 0.07,
    tau: float = 1.0,
    margin: float = 1.0,
) -> Tensor:
    """L_cav: paired audio and video drawn together, unpaired ones pushed apart.

    released: mean_i ||a_i - v_i||_1 - mean_n mean_i ||a_neg(n,i) - v_i||_1, on embeddings of length 1 (the caller
        normalises).
    printed: mean_i max(0, margin + theta(a_i, v_i) - mean_j theta(a_i, v_j)).
    infonce: - mean_i log softmax over {a_i . v_i, a_i . a_neg(n,i)} / temperature, on embeddings of length 1: the
        peer's anchor is the audio, its positive the paired video, its negatives other audio.

    Args:
        audio: f^a [K, D].
        video: f^v [K, D] of the generated frames.
        negatives: int64 [N, K]; row n names one unpaired frame for each frame. N = 0 (a single frame) leaves the
            pairs alone.
        form: `released`, `printed` or `infonce`.
        temperature: of `infonce`; the peer's is 0.07.
        tau: of `printed`, see `theta`.
        margin: of `printed`.

    Returns:
        Scalar; lower is better. `released` lies in -2 sqrt(D) .. 2 sqrt(D).

    Raises:
        ValueError: unknown form.
    """
    audio, video = audio.float(), video.float()
    if form == "released":
        paired = (audio - video).abs().sum(-1).mean()
        if len(negatives) == 0:
            return paired
        return paired - (audio[negatives] - video).abs().sum(-1).mean()
    if form == "printed":
        paired_theta = theta(audio=audio, video=video, tau=tau)
        if len(negatives) == 0:
            return F.relu(margin + paired_theta).mean()
        unpaired = theta(audio=audio, video=video[negatives], tau=tau).mean(0)
        return F.relu(margin + paired_theta - unpaired).mean()
    if form == "infonce":
        positive = (audio * video).sum(-1, keepdim=True)
        negative = (audio[negatives] * audio).sum(-1).T
        logits = torch.cat([positive, negative], dim=1) / temperature
        return F.cross_entropy(logits, torch.zeros(len(audio), dtype=torch.long, device=audio.device))
    raise ValueError(f"contrastive form {form!r}: take released, printed or infonce")
