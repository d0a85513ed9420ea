"""Inception v3 as FID sees it: TensorFlow's graph of 2015, as mseitzer/pytorch-fid 0.3 has it.

Its weights are the user's: `pt_inception-2015-12-05-6726825d.pth` of that release; nothing is downloaded. It differs
from torchvision's network where average pools leave out the padding, and in the last block, whose pool takes the
maximum.

Legend: N pictures, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synctalk.checkpoints.peers import check_entries, unwrap, with_batch_counters
from synctalk.checkpoints.torch_file import read_torch_file

SIDE = 299
D_FEATURES = 2048
Kernel = int | tuple[int, int]
Pool = Literal["average", "maximum"]


class BasicConv(nn.Module):
    """Convolution without bias, norm, rectifier."""

    def __init__(self, width_in: int, width: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, width, H', W']."""
        out: Tensor = F.relu(self.bn(self.conv(x)))
        return out


def _in_turn(block: nn.Module, names: Sequence[str], x: Tensor) -> Tensor:
    for name in names:
        x = getattr(block, name)(x)
    return x


def _pooled(x: Tensor, pool: Pool) -> Tensor:
    if pool == "maximum":
        return F.max_pool2d(x, 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class MixedA(nn.Module):
    """Mixed_5b to 5d: 1x1, 5x5, two 3x3, pool."""

    def __init__(self, width_in: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(width_in, 64, 1)
        self.branch5x5_1 = BasicConv(width_in, 48, 1)
        self.branch5x5_2 = BasicConv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = BasicConv(width_in, 64, 1)
        self.branch3x3dbl_2 = BasicConv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = BasicConv(96, 96, 3, padding=1)
        self.branch_pool = BasicConv(width_in, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Branches side by side."""
        wide = _in_turn(self, ["branch5x5_1", "branch5x5_2"], x)
        double = _in_turn(self, ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], x)
        return torch.cat([self.branch1x1(x), wide, double, self.branch_pool(_pooled(x, "average"))], 1)


class MixedB(nn.Module):
    """Mixed_6a: half the size."""

    def __init__(self, width_in: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv(width_in, 384, 3, 2)
        self.branch3x3dbl_1 = BasicConv(width_in, 64, 1)
        self.branch3x3dbl_2 = BasicConv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = BasicConv(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Branches side by side."""
        double = _in_turn(self, ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], x)
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class MixedC(nn.Module):
    """Mixed_6b to 6e: 1x1, 7x7 in two, twice 7x7 in two, pool."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        flat: tuple[Kernel, Kernel] = ((1, 7), (0, 3))
        upright: tuple[Kernel, Kernel] = ((7, 1), (3, 0))
        self.branch1x1 = BasicConv(width_in, 192, 1)
        self.branch7x7_1 = BasicConv(width_in, width, 1)
        self.branch7x7_2 = BasicConv(width, width, flat[0], padding=flat[1])
        self.branch7x7_3 = BasicConv(width, 192, upright[0], padding=upright[1])
        self.branch7x7dbl_1 = BasicConv(width_in, width, 1)
        self.branch7x7dbl_2 = BasicConv(width, width, upright[0], padding=upright[1])
        self.branch7x7dbl_3 = BasicConv(width, width, flat[0], padding=flat[1])
        self.branch7x7dbl_4 = BasicConv(width, width, upright[0], padding=upright[1])
        self.branch7x7dbl_5 = BasicConv(width, 192, flat[0], padding=flat[1])
        self.branch_pool = BasicConv(width_in, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Branches side by side."""
        once = _in_turn(self, [f"branch7x7_{n}" for n in range(1, 4)], x)
        twice = _in_turn(self, [f"branch7x7dbl_{n}" for n in range(1, 6)], x)
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_pooled(x, "average"))], 1)


class MixedD(nn.Module):
    """Mixed_7a: half the size."""

    def __init__(self, width_in: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv(width_in, 192, 1)
        self.branch3x3_2 = BasicConv(192, 320, 3, 2)
        self.branch7x7x3_1 = BasicConv(width_in, 192, 1)
        self.branch7x7x3_2 = BasicConv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Branches side by side."""
        small = _in_turn(self, ["branch3x3_1", "branch3x3_2"], x)
        wide = _in_turn(self, [f"branch7x7x3_{n}" for n in range(1, 5)], x)
        return torch.cat([small, wide, F.max_pool2d(x, 3, 2)], 1)


class MixedE(nn.Module):
    """Mixed_7b and 7c: 1x1, 3x3 each way, 3x3 and then each way, pool."""

    def __init__(self, width_in: int, pool: Pool) -> None:
        super().__init__()
        self.pool: Pool = pool
        self.branch1x1 = BasicConv(width_in, 320, 1)
        self.branch3x3_1 = BasicConv(width_in, 384, 1)
        self.branch3x3_2a = BasicConv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = BasicConv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = BasicConv(width_in, 448, 1)
        self.branch3x3dbl_2 = BasicConv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = BasicConv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = BasicConv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = BasicConv(width_in, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Branches side by side."""
        once = self.branch3x3_1(x)
        twice = _in_turn(self, ["branch3x3dbl_1", "branch3x3dbl_2"], x)
        ways = [self.branch3x3_2a(once), self.branch3x3_2b(once)]
        ways += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        return torch.cat([self.branch1x1(x), *ways, self.branch_pool(_pooled(x, self.pool))], 1)


class Inception(nn.Module):
    """Pictures to the 2,048 features that FID compares. In eval mode, without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = BasicConv(32, 32, 3)
        self.Conv2d_2b_3x3 = BasicConv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv(64, 80, 1)
        self.Conv2d_4a_3x3 = BasicConv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = MixedA(192, 32), MixedA(256, 64), MixedA(288, 64)
        self.Mixed_6a = MixedB(288)
        self.Mixed_6b, self.Mixed_6c = MixedC(768, 128), MixedC(768, 160)
        self.Mixed_6d, self.Mixed_6e = MixedC(768, 160), MixedC(768, 192)
        self.Mixed_7a = MixedD(768)
        self.Mixed_7b, self.Mixed_7c = MixedE(1280, "average"), MixedE(2048, "maximum")
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """RGB uint8 [N, 3, H, W] -> features [N, 2048]; resized to 299 x 299 bilinearly, as pytorch-fid does."""
        x = F.interpolate(pictures.float() / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) * 2 - 1
        x = _in_turn(self, ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"], x)
        x = _in_turn(self, ["Conv2d_3b_1x1", "Conv2d_4a_3x3"], F.max_pool2d(x, 3, 2))
        x = _in_turn(self, [f"Mixed_5{one}" for one in "bcd"], F.max_pool2d(x, 3, 2))
        x = _in_turn(self, [f"Mixed_6{one}" for one in "abcde"], x)
        return _in_turn(self, [f"Mixed_7{one}" for one in "abc"], x).mean((2, 3))


def load_inception(path: Path) -> Inception:
    """The network from the published file.

    Raises:
        UserError: the file is missing, damaged, or holds something else.
    """
    net = Inception()
    state = unwrap(path, read_torch_file(path)).state
    state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    state = with_batch_counters(state, net.state_dict())
    check_entries(path, state, net.state_dict())
    net.load_state_dict(state)
    return net
