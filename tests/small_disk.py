"""A disk of a few kilobytes, where mounting is allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LINE = "error: disk: there is no room left"
"""Beginning of what stages and commands say of it."""


@contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """A tmpfs of `kib` at `place`, which is made; the test is skipped where nothing may be mounted."""
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def enlarge(place: Path, kib: int) -> None:
    """The same disk with more room."""
    subprocess.run(["mount", "-o", f"remount,size={kib}k", str(place)], check=True)
