"""One seeded generator for every thing that is drawn: a pure function of its name, whoever draws it, in any order."""

from __future__ import annotations

import hashlib

import numpy as np


def digest(*names: str | int) -> bytes:
    """32 bytes that depend on every name and on nothing else."""
    return hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()


def generator(*names: str | int) -> np.random.Generator:
    """A fresh generator for the thing called `names`, for example (seed, corpus, "speaker", 3)."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest(*names)[:16], "big")))
