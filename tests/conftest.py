"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference fixtures; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("SYNCTALK_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("shared fixtures are not here")
    return folder
