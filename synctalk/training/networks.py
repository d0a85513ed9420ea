"""The networks that methods are made of: every kind of generator that says how it begins."""

from __future__ import annotations

from synctalk.checkpoints.kinds import KINDS
from synctalk.models.generator import FaceGenerator

NETWORKS: dict[str, type[FaceGenerator]] = {
    name: kind.network
    for name, kind in KINDS.items()
    if issubclass(kind.network, FaceGenerator) and "begin" in vars(kind.network)
}
"""Names that `methods.<name>.network` may have. One more is a module of `synctalk.models` and its entry in `KINDS`."""
