"""The convolution blocks of Wav2Lip's networks (Prajwal et al. 2020) and the encoder of mel windows built of them.

Legend: N images or windows, C channels, H/W pixels. Key names as in Rudrabha/Wav2Lip @5c90fa9: `conv_block.0` and `.1`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

Stride = int | tuple[int, int]


class Conv(nn.Module):
    """Convolution, batch norm, ReLU; a `residual` one adds its input before the ReLU."""

    def __init__(
        self, in_width: int, width: int, kernel: int, stride: Stride = 1, padding: int = 1, *, residual: bool = False
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(in_width, width, kernel, stride, padding), nn.BatchNorm2d(width))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        y = self.conv_block(x)
        return F.relu(y + x if self.residual else y)


class ConvTranspose(nn.Module):
    """Transposed convolution, batch norm, ReLU."""

    def __init__(
        self, in_width: int, width: int, kernel: int, stride: int, padding: int, output_padding: int = 0
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(in_width, width, kernel, stride, padding, output_padding), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        return F.relu(self.conv_block(x))


class LeakyConv(nn.Module):
    """Convolution and leaky ReLU without a norm: the discriminator's block."""

    def __init__(self, in_width: int, width: int, kernel: int, stride: Stride, padding: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(in_width, width, kernel, stride, padding))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        return F.leaky_relu(self.conv_block(x), 0.01)


def residuals(width: int, count: int) -> list[Conv]:
    """`count` residual 3x3 blocks."""
    return [Conv(width, width, 3, residual=True) for _ in range(count)]


def mel_encoder(widths: tuple[int, int, int, int, int], last_residuals: int) -> nn.Sequential:
    """Mel windows [N, 1, 80, 16] -> [N, C, 1, 1]: 80x16 -> 27x16 -> 9x6 -> 3x3 -> 1."""
    w0, w1, w2, w3, w4 = widths
    return nn.Sequential(
        Conv(1, w0, 3),
        *residuals(w0, 2),
        Conv(w0, w1, 3, (3, 1)),
        *residuals(w1, 2),
        Conv(w1, w2, 3, 3),
        *residuals(w2, 2),
        Conv(w2, w3, 3, (3, 2)),
        *residuals(w3, last_residuals),
        Conv(w3, w4, 3, 1, 0),
        Conv(w4, w4, 1, 1, 0),
    )
