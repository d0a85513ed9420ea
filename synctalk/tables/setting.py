"""What a table's figures can be compared with: the scale, the corpora, and where the methods begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synctalk.params import load

TEST_CORPORA = ("lrs2", "lrs3")
"""Roles that the tables are of."""

SYNTHETIC = "data/synthetic"
"""Where the project makes its look-alikes; a root elsewhere is the user's."""


@dataclass(frozen=True)
class Setting:
    """How the figures of a table came about.

    Attributes:
        scale: of params.yaml.
        synthetic: test corpora are look-alikes.
        common_start: all methods begin with one generator.
    """

    scale: str
    synthetic: bool
    common_start: bool


def load_setting() -> Setting:
    """The setting that params.yaml describes; `synctalk.schema` has checked the file."""
    corpora, start = load("corpora", dict[str, Any]), load("start", dict[str, Any])
    return Setting(
        scale=load("scale", str),
        synthetic=any(corpora[role]["root"] == f"{SYNTHETIC}/{role}" for role in TEST_CORPORA),
        common_start=start["optim"]["steps"] > 0,
    )
