"""Reference arrays obtained by running the peers' code, and the formula weights that they were obtained with.

`python tests/parity.py` prints the largest difference of every array of AV-HuBERT, the Conformer, SyncNet and the image
scores.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


TESTS = (
    "tests/features/test_audio_features.py",
    "tests/features/test_roi_input.py",
    "tests/losses/test_equations.py",
    "tests/models/test_av_hubert.py",
    "tests/models/test_conformer.py",
    "tests/models/test_lip_reader.py",
    "tests/models/test_masking.py",
    "tests/faces/test_mouth_region.py",
    "tests/metrics/test_image_quality.py",
    "tests/metrics/test_lip_sync_error.py",
    "tests/models/test_sync_scorer.py",
    "tests/models/test_syncnet.py",
)
"""Tests that compare with arrays of the files in `table`."""


@dataclass(frozen=True)
class Comparison:
    """One comparison that a test made: the array's file and key, the largest difference, and what is allowed."""

    file: str
    key: str
    difference: float
    allowed: float


COMPARISONS: list[Comparison] = []
"""Every comparison of this process, for `table`."""
_NAMES: dict[int, tuple[str, str]] = {}
"""File and key of every array that was asked for, by its identity: `Reference` keeps it alive."""


class Reference:
    """The arrays of one fixture file; asking for one that is kept aside skips the test."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        # copies, which own their numbers, so that a slice of one knows it as its base
        self.arrays = {key: array.copy() for key, array in np.load(path).items()} if path.exists() else {}
        _NAMES.update({id(array): (self.name, key) for key, array in self.arrays.items()})

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


def note(theirs: np.ndarray, difference: float, allowed: float) -> bool:
    """Whether a difference from a reference array is allowed; noted for `table`."""
    name = _NAMES.get(id(theirs)) or _NAMES.get(id(theirs.base))
    if name is not None:
        COMPARISONS.append(Comparison(*name, difference, allowed))
    return difference <= allowed


def assert_close(ours: Any, theirs: np.ndarray, allowed: float) -> None:
    """No number differs from the reference array's by more than `allowed`; noted for `table`."""
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape
    assert note(theirs, float(np.abs(ours.astype(np.float64) - theirs).max()), allowed)


def assert_same_network(ours: Tensor, theirs: np.ndarray) -> None:
    assert_close(ours.detach().numpy(), theirs, NETWORK_SHARE * float(theirs.std()) + 1e-6)


def table(comparisons: Sequence[Comparison], references: Sequence[Reference]) -> str:
    """Largest difference of each array beside what the fixtures' README allows; and arrays that no test compares."""
    rows = ["| fixture | array | largest difference | allowed |", "| --- | --- | ---: | ---: |"]
    for theirs in references:
        found = [one for one in comparisons if one.file == theirs.name]
        for key in theirs.arrays:
            of_key = [one for one in found if one.key == key]
            if of_key:
                worst = max(of_key, key=lambda one: one.difference / one.allowed if one.allowed else one.difference)
                allowed = f"{worst.allowed:.1e}" if worst.allowed else "exact"
                rows.append(f"| {theirs.name} | {key} | {worst.difference:.1e} | {allowed} |")
    compared = {(one.file, one.key) for one in comparisons}
    inputs = [f"{r.name}: {key}" for r in references for key in r.arrays if (r.name, key) not in compared]
    return "\n".join([*rows, "", f"In no row (inputs, or not compared one by one): {', '.join(inputs)}"])


def main(shared: Path) -> int:
    """Run the comparisons and print their table; the exit status is pytest's."""
    # the tests import this file by its own name, so that their notes are in that module
    parity = importlib.import_module("parity")
    status = pytest.main(["-q", "-p", "no:cacheprovider", *TESTS])
    names = sorted(path.stem for path in (shared / "fixtures").glob("avhubert_*.npz"))
    names += ["vsr", "syncnet", "image_quality"]
    print(parity.table(parity.COMPARISONS, [parity.reference(shared, name) for name in names]))
    return int(status)


if __name__ == "__main__":
    root = Path(__file__).parents[1]
    sys.path.insert(0, str(root / "tests"))
    sys.exit(main(Path(os.environ.get("SYNCTALK_SHARED", root.parent / "shared"))))
