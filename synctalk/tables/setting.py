"""What a table's figures can be compared with: the scale, the corpora, and where the methods begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk.params.read import SYNTHETIC, load

TEST_CORPORA = ("lrs2", "lrs3")
"""Roles that the tables are of."""


@dataclass(frozen=True)
class Setting:
    """How the figures of a table came about.

    Attributes:
        scale: of params.yaml.
        synthetic: test corpora are look-alikes.
        common_start: all methods begin with one generator.
        n_seeds: figures of a clip are means over generators of so many seeds.
    """

    scale: str
    synthetic: bool
    common_start: bool
    n_seeds: int = 1

    @property
    def words(self) -> str:
        """Scale and corpora, as captions say them."""
        corpora = (
            "on synthetic look-alikes of LRS2 and LRS3, so that orderings and not values compare with the paper"
            if self.synthetic
            else "on LRS2 and LRS3"
        )
        seeds = "" if self.n_seeds == 1 else f", means over generators of {self.n_seeds} seeds"
        return f"scale `{self.scale}`, {corpora}{seeds}"


def load_setting() -> Setting:
    """The setting that params.yaml describes; `synctalk.schema` has checked the file."""
    corpora, start = load("corpora", dict[str, Any]), load("start", dict[str, Any])
    return Setting(
        scale=load("scale", str),
        synthetic=any(Path(corpora[corpus]["root"]).is_relative_to(SYNTHETIC) for corpus in TEST_CORPORA),
        common_start=start["optim"]["steps"] > 0,
    )
