"""AV-HuBERT computed as facebookresearch/av_hubert @258fb50 and fairseq @afc77bdf compute it, with our weights.

Attention multiplies all scores out, takes its softmax in float32 and keeps the matrix; the stem of the front end is a
3-D convolution over channels-first pictures. The arithmetic is the same, so the outputs agree to rounding.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from synctalk.models.resnet import VideoFrontEnd
from synctalk.models.transformer import Attention


class PeerAttention(Attention):
    """fairseq's `MultiheadAttention`: batched matrix products and a softmax in float32."""

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, attend: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """See `Attention.forward`."""
        q = self.split_heads(self.q_proj(query)) * (query.shape[-1] // self.n_heads) ** -0.5
        scores = q @ keys.transpose(-1, -2)
        if attend is not None:
            scores = scores.masked_fill(~attend, float("-inf"))
        if causal:
            width = scores.shape[-1]
            future = torch.ones(width, width, dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(future, float("-inf"))
        shares = scores.float().softmax(-1).type_as(scores)
        shares = nn.functional.dropout(shares, self.dropout, self.training)
        out: Tensor = self.out_proj((shares @ values).transpose(1, 2).flatten(2))
        return out


class PeerFrontEnd(VideoFrontEnd):
    """The released front end: `Conv3d`, then frames folded into the batch, channels first."""

    def forward(self, video: Tensor) -> Tensor:
        """See `VideoFrontEnd.forward`."""
        n_clips, _, n_frames = video.shape[:3]
        x = self.frontend3D(video).transpose(1, 2).flatten(0, 1).contiguous()
        features: Tensor = self.trunk(x).reshape(n_clips, n_frames, -1)
        return features


def as_the_peer(model: nn.Module) -> nn.Module:
    """A copy of `model`, an `AVHubert` or a `LipReader`, that computes as the peers' code does."""
    peer = copy.deepcopy(model)
    for module in peer.modules():
        if isinstance(module, VideoFrontEnd):
            module.__class__ = PeerFrontEnd
            cast(nn.Module, module.trunk).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        elif isinstance(module, Attention):
            module.__class__ = PeerAttention
    return peer
