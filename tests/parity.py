"""Reference arrays obtained by running the peers' code, and the formula weights that they were obtained with."""

from __future__ import annotations

import importlib.util
import json
import wave
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

NETWORK_SHARE = 1e-3
"""Largest difference of a network's output, as a share of the reference's standard deviation."""


class Reference:
    """The arrays of one fixture file; asking for one that is kept aside skips the test."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.arrays = dict(np.load(path)) if path.exists() else {}

    def __getitem__(self, key: str) -> Any:
        if key not in self.arrays:
            pytest.skip(f"{self.name}: {key} is kept aside")
        return self.arrays[key]


@cache
def reference(shared: Path, name: str) -> Reference:
    return Reference(shared / "fixtures" / f"{name}.npz")


@cache
def formula(shared: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("formula_weights", shared / "fixtures" / "formula_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def peer_keys(shared: Path, name: str) -> Mapping[str, list[int]]:
    return json.loads((shared / "fixtures" / "keys" / f"{name}.json").read_text())


def peer_state(shared: Path, name: str) -> dict[str, Tensor]:
    """A peer's state dict, filled by the formula."""
    weights = formula(shared).formula
    return {key: torch.from_numpy(np.array(weights(key, shape))) for key, shape in peer_keys(shared, name).items()}


def filled(model: nn.Module, shared: Path, name: str, without: tuple[str, ...] = ()) -> Any:
    """`model` in eval mode with a peer's weights, less the keys that contain one of `without`."""
    state = {key: value for key, value in peer_state(shared, name).items() if not any(part in key for part in without)}
    model.load_state_dict(state)
    return model.eval()


def normal(shared: Path, name: str, *shape: int) -> Tensor:
    return torch.from_numpy(formula(shared).normal(name, shape))


def uniform(shared: Path, name: str, *shape: int) -> Tensor:
    return torch.from_numpy(formula(shared).uniform(name, shape))


def pcm(shared: Path, name: str) -> np.ndarray:
    path = shared / "fixtures" / f"{name}.wav"
    if not path.exists():
        pytest.skip(f"{path.name} is kept aside")
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def assert_same_network(ours: Tensor, theirs: np.ndarray) -> None:
    assert tuple(ours.shape) == theirs.shape
    difference = np.abs(ours.detach().numpy() - theirs).max()
    assert difference <= NETWORK_SHARE * theirs.std() + 1e-6
