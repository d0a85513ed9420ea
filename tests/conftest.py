"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # before torch is imported: a thread for every core in each of several processes would wait for one another
    os.environ |= {"OMP_NUM_THREADS": "1", "SYNCTALK_THREADS": "1"}


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference fixtures; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("SYNCTALK_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("shared fixtures are not here")
    return folder
