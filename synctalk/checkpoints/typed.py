"""`load` for callers that need to know which network they get."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import nn

from synctalk.checkpoints.load import kind_of, load
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.conformer import Conformer
from synctalk.models.lip_reader import LipReader
from synctalk.models.syncnet import SyncNet
from synctalk.models.synctalklip import SyncTalklip

__all__ = [
    "kind_of",
    "load_av_hubert",
    "load_av_syncnet",
    "load_conformer",
    "load_lip_reader",
    "load_published_lip_reader",
    "load_syncnet",
    "load_synctalklip",
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


def load_synctalklip(path: Path) -> SyncTalklip:
    """The generator; see `load`."""
    return _load(SyncTalklip, "synctalklip", path)


def _load(network: type[N], kind: str, path: Path) -> N:
    loaded = load(kind, path)
    assert isinstance(loaded, network)
    return loaded
