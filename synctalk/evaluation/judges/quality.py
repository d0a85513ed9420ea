"""The networks behind LPIPS and FID: their authors' packages (extra `quality`), with weights that the user brings.

LPIPS: Zhang et al., CVPR 2018, version 0.1 on AlexNet, by `lpips`; its files are torchvision's
`alexnet-owt-7be5be79.pth` and `weights/v0.1/alex.pth` of richzhang/PerceptualSimilarity @082bb24. FID: Inception v3 of
TensorFlow's graph of 2015, by `pytorch_fid`; its file is `pt_inception-2015-12-05-6726825d.pth` of mseitzer/pytorch-fid
0.3. Nothing is downloaded.

Legend: N pictures, H/W pixels.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import torch
from torch import Tensor, nn

from synctalk.checkpoints.peers import check_entries, unwrap
from synctalk.checkpoints.torch_file import read_torch_file
from synctalk.errors import UserError

D_FEATURES = 2048
CONVOLUTIONS = (0, 3, 6, 8, 10)
"""Of AlexNet, in torchvision's `features`."""
REGISTRATIONS = "torchvision._meta_registrations"
"""Shapes of torchvision's compiled operators: they do not import where these were not compiled for the torch at hand,
as beside a CPU build, and no network here uses them."""


@cache
def package(name: str) -> ModuleType:
    """A package of the extra, which imports torchvision.

    Raises:
        UserError: it is not installed.
    """
    try:
        try:
            importlib.import_module("torchvision")
        except RuntimeError:
            for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == "torchvision"]:
                del sys.modules[loaded]
            sys.modules[REGISTRATIONS] = ModuleType(REGISTRATIONS)
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError("LPIPS and FID", f"need {error.name}", "pip install 'synctalk[quality]'") from error


class Lpips(nn.Module):
    """The distance; lower is more alike, 0 is equal. In eval mode, without gradients.

    Raises:
        UserError: a file is missing, damaged, or holds something else; the extra is not installed.
    """

    def __init__(self, alexnet: Path, heads: Path) -> None:
        super().__init__()
        library = package("lpips")
        with warnings.catch_warnings():  # it calls torchvision as releases before 0.13 had it
            warnings.simplefilter("ignore", UserWarning)
            self.net = library.LPIPS(pretrained=False, pnet_rand=True, verbose=False)
        own = self.net.state_dict()
        trunk = {
            f"features.{index}.{part}": f"net.slice{layer}.{index}.{part}"
            for layer, index in enumerate(CONVOLUTIONS, start=1)
            for part in ("weight", "bias")
        }
        linear = {f"lin{layer}.model.1.weight": f"lin{layer}.model.1.weight" for layer in range(len(CONVOLUTIONS))}
        for path, names, ignored in ((alexnet, trunk, "classifier."), (heads, linear, "lins.")):
            state = {k: v for k, v in unwrap(path, read_torch_file(path)).state.items() if not k.startswith(ignored)}
            check_entries(path, state, {theirs: own[name] for theirs, name in names.items()})
            self.net.load_state_dict({name: state[theirs] for theirs, name in names.items()}, strict=False)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances [N] of pictures RGB uint8 [N, 3, H, W] each, 35 pixels a side at least."""
        distances: Tensor = self.net(a.float() / 127.5 - 1, b.float() / 127.5 - 1)
        return distances.flatten()


class Inception(nn.Module):
    """Pictures to the features that FID compares. In eval mode, without gradients.

    Raises:
        UserError: the file is missing, damaged, or holds something else; the extra is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        library, state = package("pytorch_fid.inception"), unwrap(path, read_torch_file(path)).state
        # its constructor fetches the weights: it is given those of the user
        with patch.object(library, "load_state_dict_from_url", lambda *_, **__: state):
            try:
                self.net = library.InceptionV3()
            except RuntimeError as error:
                detail = " ".join(str(error).split("\n\t")[1].split())
                raise UserError(path, f"is not Inception's file: {detail}", "give pytorch-fid's file") from error
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """RGB uint8 [N, 3, H, W] -> features [N, 2048]."""
        features: Tensor = self.net(pictures.float() / 255)[0]
        return features.flatten(1)
