"""AV-SyncNet (paper fig. 2a, §3.2, §3.4): the lip reader whose audio and video encodings are drawn together.

Legend: B clips, T frames, D width. An audio-only and a video-only pass of one encoder give f^a and f^v; `local`
alignment compares them frame by frame, `conv` after a convolution over time, so that the distance sees neighbouring
frames.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.models.lip_reader import LipReader, LipReaderConfig
from synctalk.params.section import section


@section
class AlignmentConfig:
    """How AV-SyncNet compares its two encodings."""

    kind: Literal["none", "local", "conv"]
    """`none` is AV-HuBERT fine-tuned for lip reading alone."""
    kernel: int = 5
    """Frames that the convolution of `conv` sees; odd."""


class NeighbourConv(nn.Module):
    """A convolution over time, one kernel a channel, shared by both modalities.

    Its taps are a softmax: a convex mean of the neighbours. A free kernel, trained to make paired distances small,
    would shrink to nothing and take the distance with it.
    """

    def __init__(self, d_model: int, kernel: int) -> None:
        super().__init__()
        self.tap_logits = nn.Parameter(torch.zeros(d_model, 1, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]; the ends repeat their edge frame."""
        taps = self.tap_logits.softmax(-1)
        margin = taps.shape[-1] // 2
        padded = F.pad(x.transpose(1, 2), (margin, margin), mode="replicate")
        return F.conv1d(padded, taps, groups=len(taps)).transpose(1, 2)


class AVSyncNet(LipReader):
    """Lip reader with comparable encodings of audio and lips.

    Raises:
        ValueError: the kernel is even.
    """

    def __init__(self, config: LipReaderConfig, alignment: AlignmentConfig) -> None:
        super().__init__(config)
        self.alignment = alignment
        if alignment.kind == "conv":
            if alignment.kernel % 2 == 0:
                raise ValueError(f"alignment kernel {alignment.kernel}: take an odd number of frames")
            self.align_conv = NeighbourConv(config.encoder.d_model, alignment.kernel)

    def comparable(self, encoding: Tensor) -> Tensor:
        """What the distance is taken of: f^a or f^v [B, T, D], through the convolution where there is one."""
        if self.alignment.kind != "conv":
            return encoding
        return self.align_conv(encoding)  # type: ignore[no-any-return]
