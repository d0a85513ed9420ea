"""The video front end of AV-HuBERT (fig. 1) and of the Conformer: a 3-D convolution, then a ResNet per frame.

Legend: B clips, T video frames, N = B·T, H/W height and width, C channels.
Key names as in facebookresearch/av_hubert @258fb50 and mpc001/auto_avsr @182b628.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.params.section import section

Activation = Literal["prelu", "silu"]
SIDE, STRIDE, PADDING = 3, 2, 1
"""Of the pool after the first convolution, pixels."""
FEWEST_CHANNELS = 16
"""With fewer, oneDNN's gradient of a strided 1x1 convolution writes past its buffer: it crashes on one thread, hangs or
is wrong on several (below 8 with AVX2, below 16 with AVX-512): https://github.com/uxlfoundation/oneDNN/issues/6035.
"""


@section
class FrontEndConfig:
    """Sizes of the video front end; the defaults are the ResNet-18 of AV-HuBERT (11,186,688 parameters)."""

    stem_width: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of each stage; every stage after the first halves the image."""
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    activation: Activation = "prelu"


def _activation(name: Activation, width: int) -> nn.Module:
    return nn.PReLU(width) if name == "prelu" else nn.SiLU()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the identity (1x1 where the shape changes), with a slope per channel for PReLU."""

    def __init__(self, in_width: int, width: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = _activation(activation, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = _activation(activation, width)
        self.downsample: nn.Module = nn.Identity()
        self.skipped = stride if in_width < FEWEST_CHANNELS else 1
        """Every how many rows and columns the shortcut is given: those that its convolution would pass over."""
        if stride != 1 or in_width != width:
            shortcut = nn.Conv2d(in_width, width, 1, stride // self.skipped, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu2(y + self.downsample(x[..., :: self.skipped, :: self.skipped]))
        return out


class Trunk(nn.Module):
    """ResNet stages `layer1`, `layer2`, ... and the mean over the image."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        in_width = config.stem_width
        for stage, (width, n_blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            blocks = []
            for block in range(n_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(in_width, width, stride, config.activation))
                in_width = width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C']."""
        for stage in self.children():
            x = stage(x)
        return x.mean(dim=(2, 3))


class VideoFrontEnd(nn.Module):
    """Grey mouth crops to one vector a frame; 88 -> 44 -> 22 -> 22 -> 11 -> 6 -> 3 -> 1 pixels at the full size."""

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        width = config.stem_width
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            _activation(config.activation, width),
            nn.MaxPool3d((1, SIDE, SIDE), (1, STRIDE, STRIDE), (0, PADDING, PADDING)),
        )
        self.trunk = Trunk(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs

    def forward(self, video: Tensor, *, ends: bool = True) -> Tensor:
        """Features of every frame.

        Args:
            video: float [B, 1, T, H, W], standardised.
            ends: with zeros before and after, as the peers; false: only frames with two neighbours on either side.

        Returns:
            [B, T, C], or [B, T - 4, C] without ends.
        """
        conv = cast(nn.Conv3d, self.frontend3D[0])
        n_taps = conv.kernel_size[0]
        reach = n_taps // 2 if ends else 0
        # a 3-D convolution of one channel is a 2-D one whose channels are the neighbouring frames, and 1.3 times faster
        frames = F.pad(video[:, 0], (0, 0, 0, 0, reach, reach)).unfold(1, n_taps, 1)
        frames_NCHW = frames.permute(0, 1, 4, 2, 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        stem = F.conv2d(frames_NCHW, conv.weight[:, 0], stride=conv.stride[1:], padding=conv.padding[1:])
        # the pool of one frame is a 2-D one too, and keeps the channels last
        pooled = F.max_pool2d(self.frontend3D[1:3](stem[:, :, None])[:, :, 0], SIDE, STRIDE, PADDING)
        features: Tensor = self.trunk(pooled).unflatten(0, frames.shape[:2])
        return features
