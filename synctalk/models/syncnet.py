"""SyncNet (Chung & Zisserman 2016): five lip frames and 0.2 s of MFCC in one space; the judge behind LSE.

Legend: N windows, H/W pixels, D embedding. Key names and default sizes as in joonson/syncnet_python @6efbb1c.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.params.section import section
from synctalk.timebase import FBANK_PER_FRAME, n_whole_frames

LIP_WINDOW = 5
"""Frames that one lip embedding sees."""
MFCC_WINDOW = LIP_WINDOW * FBANK_PER_FRAME
N_MFCC = 13
LAST_POOL = 3
Pair = tuple[int, int]


@section
class SyncNetConfig:
    """Sizes of SyncNet; the defaults are `syncnet_v2.model` (13,631,616 parameters)."""

    image_size: int = 224
    in_channels: int = 3
    lip_widths: tuple[int, int, int, int, int, int] = (96, 256, 256, 256, 256, 512)
    audio_widths: tuple[int, int, int, int, int, int] = (64, 192, 384, 256, 256, 512)
    d_hidden: int = 512
    d_embedding: int = 1024


class SyncNet(nn.Module):
    """Two towers that share no weights; embeddings are not normalised."""

    def __init__(self, config: SyncNetConfig) -> None:
        super().__init__()
        self.config = config
        self.netcnnaud = _audio_tower(config.audio_widths)
        self.netfcaud = _head(config.audio_widths[-1], config)
        self.netcnnlip = _lip_tower(config)
        self.netfclip = _head(config.lip_widths[-1], config)

    def lip_features(self, windows: Tensor) -> Tensor:
        """Lip windows [N, C, 5, H, W] -> what the convolutions make of them, [N, 512]."""
        features: Tensor = self.netcnnlip(windows)
        return features.flatten(1)

    def embed_lips(self, windows: Tensor) -> Tensor:
        """Lip windows float [N, C, 5, H, W], BGR, 0..255 -> [N, D]."""
        embedding: Tensor = self.netfclip(self.lip_features(windows))
        return embedding

    def embed_audio(self, windows: Tensor) -> Tensor:
        """MFCC windows float [N, 1, 13, 20] -> [N, D]."""
        embedding: Tensor = self.netfcaud(self.netcnnaud(windows).flatten(1))
        return embedding

    def embed_lip_track(self, frames: Tensor) -> Tensor:
        """Frames [B, C, T, H, W] -> the embeddings of the T-4 windows of each clip, [B, T-4, D].

        Equals `embed_lips` of the windows, with gradients. Only the first convolution reaches over time, so the tower
        runs as 2-D convolutions over pictures of five frames' channels, at about twice the speed on a CPU. For scoring
        see `SyncScorer`.
        """
        windows = frames.unfold(2, LIP_WINDOW, 1).permute(0, 2, 1, 5, 3, 4)
        pictures = windows.flatten(2, 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features = _in_two_dimensions(self.netcnnlip, pictures).flatten(1)
        embeddings: Tensor = self.netfclip(features)
        return embeddings.reshape(len(frames), windows.shape[1], -1)

    def forward(self, lip_windows: Tensor, audio_windows: Tensor) -> tuple[Tensor, Tensor]:
        """Both embeddings, lips first, each [N, D]."""
        return self.embed_lips(lip_windows), self.embed_audio(audio_windows)


def n_windows(n_frames: int, n_samples: int) -> int:
    """Windows of a clip that are scored: one fewer than would fit, as the released scorer does; 0 if too short."""
    return max(0, min(n_frames, n_whole_frames(n_samples)) - LIP_WINDOW)


def audio_windows(mfcc: Tensor, start: int, stop: int) -> Tensor:
    """MFCC columns 4i..4i+19 for i in start..stop-1: [13, T100] -> [N, 1, 13, 20] (a view)."""
    columns = mfcc[:, start * FBANK_PER_FRAME : (stop - 1) * FBANK_PER_FRAME + MFCC_WINDOW]
    return columns.unfold(1, MFCC_WINDOW, FBANK_PER_FRAME).permute(1, 0, 2)[:, None]


def _conv_2d(in_width: int, width: int, kernel: int | tuple[int, int], padding: int) -> list[nn.Module]:
    return [nn.Conv2d(in_width, width, kernel, padding=padding), nn.BatchNorm2d(width), nn.ReLU()]


def _conv_3d(in_width: int, width: int, kernel: tuple[int, int, int], stride: int, padding: int) -> list[nn.Module]:
    conv = nn.Conv3d(in_width, width, kernel, (1, stride, stride), (0, padding, padding))
    return [conv, nn.BatchNorm3d(width), nn.ReLU()]


def _audio_tower(widths: tuple[int, ...]) -> nn.Sequential:
    """13x20 -> 13x20 -> 11x9 -> 5x4 -> 1."""
    w0, w1, w2, w3, w4, w5 = widths
    return nn.Sequential(
        *_conv_2d(1, w0, 3, 1),
        nn.Identity(),  # a 1x1 max pool in the release; kept for the numbers in the key names
        *_conv_2d(w0, w1, 3, 1),
        nn.MaxPool2d(3, (1, 2)),
        *_conv_2d(w1, w2, 3, 1),
        *_conv_2d(w2, w3, 3, 1),
        *_conv_2d(w3, w4, 3, 1),
        nn.MaxPool2d(3, 2),
        *_conv_2d(w4, w5, (5, 4), 0),
    )


def _lip_tower(config: SyncNetConfig) -> nn.Sequential:
    """224 -> 109 -> 54 -> 26 -> 13 -> 6 -> 1 pixels; the last kernel spans what is left of the image."""
    w0, w1, w2, w3, w4, w5 = config.lip_widths
    left, pooled = pixels_left(config.image_size)
    return nn.Sequential(
        *_conv_3d(config.in_channels, w0, (LIP_WINDOW, 7, 7), 2, 0),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_conv_3d(w0, w1, (1, 5, 5), 2, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *_conv_3d(w1, w2, (1, 3, 3), 1, 1),
        *_conv_3d(w2, w3, (1, 3, 3), 1, 1),
        *_conv_3d(w3, w4, (1, 3, 3), 1, 1),
        nn.MaxPool3d((1, LAST_POOL, LAST_POOL), (1, 2, 2)) if pooled else nn.Identity(),
        *_conv_3d(w4, w5, (1, left, left), 1, 0),
    )


def pixels_left(image_size: int) -> tuple[int, bool]:
    """Side of the image in front of the last convolution, and whether it was large enough for the last pool.

    Raises:
        ValueError: nothing is left.
    """
    left = image_size
    for kernel, padding in ((7, 0), (3, 0), (5, 1), (3, 1)):
        left = (left + 2 * padding - kernel) // 2 + 1
    if left < 1:
        raise ValueError(f"SyncNet cannot see images of {image_size} pixels")
    return ((left - LAST_POOL) // 2 + 1, True) if left >= LAST_POOL else (left, False)


def _in_two_dimensions(tower: nn.Sequential, pictures: Tensor) -> Tensor:
    """What `tower` makes of one window a picture, [N, C·5, H, W] -> [N, F, 1, 1]: its first layer uses up time."""
    x = pictures
    for layer in tower:
        if isinstance(layer, nn.Conv3d):
            x = F.conv2d(x, layer.weight.flatten(1, 2), layer.bias, layer.stride[1:], cast(Pair, layer.padding[1:]))
        elif isinstance(layer, nn.Identity | nn.ReLU):
            x = layer(x)
        else:
            x = layer(x[:, :, None])[:, :, 0]
    return x


def _head(d_in: int, config: SyncNetConfig) -> nn.Sequential:
    d_hidden = config.d_hidden
    return nn.Sequential(
        nn.Linear(d_in, d_hidden), nn.BatchNorm1d(d_hidden), nn.ReLU(), nn.Linear(d_hidden, config.d_embedding)
    )
