"""One door to every network's weights, the peers' and ours.

Peers' files: Rudrabha/Wav2Lip @5c90fa9, Sxjdwang/TalkLip @7ed53ee, facebookresearch/av_hubert @258fb50,
joonson/syncnet_python @6efbb1c, mpc001/auto_avsr @182b628.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synctalk.checkpoints.kinds import KINDS, Kind
from synctalk.checkpoints.peers import check_entries, unwrap, with_batch_counters
from synctalk.checkpoints.safetensors_file import (
    config_from_json,
    read_header,
    read_safetensors,
    write_safetensors,
)
from synctalk.checkpoints.torch_file import is_torch_file, read_torch_file
from synctalk.errors import UserError


def load(kind: str, path: str | Path) -> nn.Module:
    """The network whose weights a file holds, in eval mode, on the CPU, in float32.

    Args:
        kind: one of `KINDS`.
        path: a peer's own file (`torch.save`, any wrapper and prefix that the peers use), or our safetensors.

    Raises:
        UserError: no such kind or file; another kind of weights; truncated or damaged; an entry missing, unknown or
            of another shape; a pickle that names anything that could run code.
    """
    path = Path(path)
    if kind not in KINDS:
        raise UserError(kind, "no such kind of weights", f"one of {', '.join(KINDS)}")
    if not path.is_file():
        raise UserError(path, "no such file")
    spec = KINDS[kind]
    state, arguments = _read(kind, path)
    try:
        with torch.device("meta"):
            network = spec.network(**arguments)
    except ValueError as error:
        raise UserError(path, f"its sizes are of no {kind} ({error})") from error
    expected = network.state_dict()
    state = with_batch_counters(state, expected)
    check_entries(path, state, expected)
    weights = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    network.load_state_dict({key: value.clone() for key, value in weights.items()}, assign=True)
    return network.requires_grad_(True).eval()


def save(network: nn.Module, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a network as safetensors, whole or not at all; the same weights and metadata give the same bytes.

    Args:
        network: of the class of one of `KINDS`.
        path: file to write.
        metadata: what else to keep in the header: JSON values, such as method, ROI mode and hash of the data.

    Raises:
        TypeError: no kind has this class.
    """
    kind = next((name for name, spec in KINDS.items() if spec.network is type(network)), None)
    if kind is None:
        raise TypeError(f"no kind of weights for {type(network).__name__}")
    configs = {name: asdict(config) for name, config in KINDS[kind].describe(network).items()}
    header = {"kind": kind, "configs": configs, "metadata": dict(metadata or {})}
    write_safetensors(Path(path), network.state_dict(), header)


def metadata_of(path: str | Path) -> dict[str, Any]:
    """What one of our files says beside its weights, as it was given to `save`.

    Raises:
        UserError: damaged, or not written by `save`.
    """
    metadata = read_header(Path(path)).get("metadata")
    if not isinstance(metadata, dict):
        raise UserError(path, "does not say how it was made", "make it again with `dvc repro`")
    return metadata


def found_kinds(path: str | Path) -> tuple[list[str], bool]:
    """Kinds that a file may hold, and whether a peer published it: its own file, or one of ours that was imported.

    Raises:
        UserError: no such file, damaged, or neither a file of torch.save nor safetensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(path, "no such file")
    saved, header = _contents(path)
    if header:
        return [str(header.get("kind"))], "source" in header.get("metadata", {})
    state = unwrap(path, saved).state
    return [name for name, kind in KINDS.items() if _has_marks(kind, state)], True


def kind_of(path: str | Path) -> str:
    """The kind that one of our own files says it is.

    Raises:
        UserError: damaged, or not written by `save`.
    """
    _, header = read_safetensors(Path(path))
    if header.get("kind") not in KINDS:
        raise UserError(path, "does not say its kind of weights")
    return str(header["kind"])


def _contents(path: Path) -> tuple[Any, dict[str, Any]]:
    """What a file of torch.save or safetensors holds, and the header of one of ours; {} where it has none.

    Raises:
        UserError: damaged, or neither.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if is_torch_file(head):
        return read_torch_file(path), {}
    if head[8:9] == b"{":
        return read_safetensors(path)
    raise UserError(path, "is neither a file of torch.save nor safetensors")


def _read(kind: str, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Entries of the network's state dict, and the arguments of its constructor."""
    spec = KINDS[kind]
    saved, header = _contents(path)
    if header:
        return saved, _own_arguments(kind, path, header)
    file_of_peer = unwrap(path, saved)
    found = [name for name, other in KINDS.items() if _has_marks(other, file_of_peer.state)]
    if kind not in found or spec.sizes is None:
        raise UserError(path, f"holds weights of {' or '.join(found) or 'no known kind'}, not of {kind}")
    file_of_peer = replace(file_of_peer, state=_renamed(file_of_peer.state, spec.renames))
    try:
        arguments = spec.sizes(file_of_peer)
    except KeyError as error:
        raise UserError(path, f"entry {error} is missing") from error
    except (IndexError, TypeError, ValueError) as error:
        raise UserError(path, f"its shapes are of no {kind} ({error})") from error
    return {key: value for key, value in file_of_peer.state.items() if not key.startswith(spec.leftovers)}, arguments


def _renamed(state: Mapping[str, Tensor], renames: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    """`state` with other beginnings of keys."""
    renamed = dict(state)
    for theirs, ours in renames:
        renamed = {re.sub(f"^{re.escape(theirs)}", ours, key): value for key, value in renamed.items()}
    return renamed


def _has_marks(spec: Kind, state: Mapping[str, Tensor]) -> bool:
    return bool(spec.marks) and all(any(key.startswith(mark) for key in state) for mark in spec.marks)


def _own_arguments(kind: str, path: Path, header: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the constructor from our header."""
    spec, written = KINDS[kind], str(header.get("kind"))
    if written not in KINDS or KINDS[written].network is not spec.network:
        raise UserError(path, f"holds weights of {written}, not of {kind}")
    try:
        return {name: config_from_json(section, header["configs"][name]) for name, section in spec.configs.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(path, f"its header does not fit this version ({error})") from error
