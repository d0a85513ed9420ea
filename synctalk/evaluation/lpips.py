"""LPIPS: how unlike two pictures look to a network that knows objects (Zhang et al., CVPR 2018, version 0.1, AlexNet).

Both weights are the user's: AlexNet's as torchvision publishes them (`alexnet-owt-7be5be79.pth`), and the five linear
layers on top (`weights/v0.1/alex.pth` of richzhang/PerceptualSimilarity @082bb24). Nothing is downloaded.

Legend: N pictures, H/W pixels.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from synctalk.checkpoints.peers import check_entries, unwrap
from synctalk.checkpoints.torch_file import read_torch_file

LAYERS = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
"""Channels in and out, kernel, stride and padding of AlexNet's convolutions."""
PLACES = (0, 3, 6, 8, 10)
"""Of the convolutions in torchvision's `features`."""
PARTS = ("weight", "bias")
POOLED = (1, 2)
"""Convolutions behind a max pool of 3 with stride 2."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and deviation of the pictures in -1..1 that AlexNet was trained on."""
LEAST_SIDE = 35
"""Pixels below which AlexNet has no feature left."""


class LPIPS(nn.Module):
    """The distance; lower is more alike, 0 is equal. In eval mode, without gradients."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in LAYERS)
        self.heads = nn.ModuleList(nn.Conv2d(o, 1, 1, bias=False) for _, o, *_ in LAYERS)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])
        self.requires_grad_(False).eval()

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Five layers' rectified features, each place of unit length; pictures RGB uint8 [N, 3, H, W]."""
        x = ((pictures.float() / 127.5 - 1) - self.shift) / self.scale
        found = []
        for number, conv in enumerate(self.convs):
            if number in POOLED:
                x = nn.functional.max_pool2d(x, 3, 2)
            x = conv(x).relu()
            found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    @torch.no_grad()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances [N] of pictures RGB uint8 [N, 3, H, W] each.

        Raises:
            ValueError: unequal shapes, or sides below `LEAST_SIDE`.
        """
        if a.shape != b.shape or a.dim() != 4 or min(a.shape[2:]) < LEAST_SIDE:
            raise ValueError(f"two batches of pictures of one size are needed; got {list(a.shape)}, {list(b.shape)}")
        layers = zip(self.heads, self.features(a), self.features(b), strict=True)
        of_layers = [head((x - y).square()).mean((1, 2, 3)) for head, x, y in layers]
        return torch.stack(of_layers).sum(0)


def load_lpips(alexnet: Path, heads: Path) -> LPIPS:
    """LPIPS from the two published files.

    Raises:
        UserError: a file is missing, damaged, or holds something else.
    """
    net = LPIPS()
    of_net = net.state_dict()
    trunk = {f"features.{place}.{part}": f"convs.{n}.{part}" for n, place in enumerate(PLACES) for part in PARTS}
    linear = {f"lin{n}.model.1.weight": f"heads.{n}.weight" for n in range(len(LAYERS))}
    for path, names, ignored in ((alexnet, trunk, "classifier."), (heads, linear, "lins.")):
        state = unwrap(path, read_torch_file(path)).state
        state = {key: value for key, value in state.items() if not key.startswith(ignored)}
        check_entries(path, state, {theirs: of_net[ours] for theirs, ours in names.items()})
        of_net |= {ours: state[theirs].float() for theirs, ours in names.items()}
    net.load_state_dict(of_net)
    return net
