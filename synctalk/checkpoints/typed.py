"""`load` for callers that need to know which network they get."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from synctalk.checkpoints.kinds import KINDS
from synctalk.checkpoints.load import found_kinds, kind_of, load
from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.conformer import Conformer
from synctalk.models.generator import FaceGenerator
from synctalk.models.lip_reader import LipReader
from synctalk.models.syncnet import SyncNet
from synctalk.models.wav2lip_expert import Wav2LipExpert

__all__ = [
    "kind_of",
    "load_av_hubert",
    "load_av_syncnet",
    "load_conformer",
    "load_generator",
    "load_lip_reader",
    "load_published_lip_reader",
    "load_supervisor",
    "load_syncnet",
    "load_wav2lip_expert",
]

N = TypeVar("N", bound=nn.Module)


def load_av_hubert(path: Path) -> AVHubert:
    """AV-HuBERT with its pre-training head; see `load`."""
    return _load(AVHubert, "av_hubert", path)


def load_av_syncnet(path: Path) -> AVSyncNet:
    """AV-SyncNet, or a lip reader that was fine-tuned here; see `load`."""
    return _load(AVSyncNet, "av_syncnet", path)


def load_conformer(path: Path) -> Conformer:
    """The Conformer lip reader, ours or a published one; see `load`."""
    return _load(Conformer, "auto_avsr", path)


def load_lip_reader(path: Path) -> LipReader:
    """A lip reader in a file of ours, whatever its kind; see `load`."""
    return _load(LipReader, kind_of(path), path)


def load_published_lip_reader(path: Path) -> LipReader:
    """A fine-tuned AV-HuBERT as its authors published it; see `load`."""
    return _load(LipReader, "av_hubert_seq2seq", path)


def load_syncnet(path: Path) -> SyncNet:
    """SyncNet; see `load`."""
    return _load(SyncNet, "syncnet", path)


def load_supervisor(path: Path) -> AVSyncNet | Wav2LipExpert:
    """A network that supervises generated faces, in a file of ours: a reader, or Wav2Lip's sync expert; see `load`.

    Raises:
        UserError: as `load`, or another kind of network.
    """
    kind = kind_of(path)
    if kind == "wav2lip_expert":
        return load_wav2lip_expert(path)
    if kind != "av_syncnet":
        raise UserError(path, f"holds weights of {kind}, which supervises nothing")
    return load_av_syncnet(path)


def load_wav2lip_expert(path: Path) -> Wav2LipExpert:
    """Wav2Lip's sync expert; see `load`."""
    return _load(Wav2LipExpert, "wav2lip_expert", path)


def load_generator(path: Path) -> FaceGenerator:
    """A generator of any network, ours or published, that takes and makes RGB faces.

    The peers' see BGR: the channels of their first and last convolutions are turned round here.

    Raises:
        UserError: as `load`, or the file holds no generator.
    """
    kinds, published = found_kinds(path)
    kind = next((name for name in kinds if name in KINDS and issubclass(KINDS[name].network, FaceGenerator)), None)
    if kind is None:
        raise UserError(path, f"holds weights of {' or '.join(kinds) or 'no known kind'}, and no generator")
    model = _load(FaceGenerator, kind, path)
    if published:
        turn_channels(model)
    return model


@torch.no_grad()
def turn_channels(model: FaceGenerator) -> None:
    """Make a generator of BGR faces one of RGB faces, in place, or the other way."""
    first = cast(Tensor, model.face_encoder_blocks.get_parameter("0.0.conv_block.0.weight"))
    first.copy_(torch.unflatten(first, 1, (2, 3, -1)).flip(2).flatten(1, 3))
    for last in model.output_block[1].parameters():
        last.copy_(torch.unflatten(last, 0, (3, -1)).flip(0).flatten(0, 1))


def _load(network: type[N], kind: str, path: Path) -> N:
    loaded = load(kind, path)
    assert isinstance(loaded, network)
    return loaded
