"""Killed at any moment, however often, the stages end with the bytes of an uninterrupted run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_corpus import digests, make_corpus, write_params

PATHS = Path(__file__).parents[1:3]
"""Where the killed process finds the tests' modules and the project."""


def run(folder: Path, seed: int, workers: int) -> dict[str, int]:
    """Kills by stage; seed 0 is never killed."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("interrupted.py")), str(folder), str(seed)],
        env=os.environ | {"SYNCTALK_WORKERS": str(workers), "PYTHONPATH": os.pathsep.join(map(str, PATHS))},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["left"] == []  # no scratch stays behind
    return told["kills"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, its params, and in `0` what an uninterrupted run with one worker makes of it."""
    folder = tmp_path_factory.mktemp("interruption")
    make_corpus(folder / "raw", 10)
    write_params(folder)
    assert run(folder, 0, workers=1) == {}
    assert len(digests(folder / "0")) > 15
    return folder


@pytest.mark.cluster
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 9))])
def test_bytes_do_not_depend_on_kills(folder: Path, seed: int) -> None:
    kills = run(folder, seed, workers=1 + seed % 2)
    print(f"seed {seed}: killed in {kills}")
    assert sum(kills.values()) >= 2
    assert digests(folder / str(seed)) == digests(folder / "0")
