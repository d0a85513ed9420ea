"""DVC's own records, cut off by a kill: `synctalk doctor` says so; without them finished stages come from the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from synctalk import doctor
from synctalk.doctor import State, check_locks

pytestmark = pytest.mark.cluster
PIPELINE = """stages:
  first:
    cmd: echo first >> ran && cp source one
    deps: [source]
    outs: [one]
  second:
    cmd: echo second >> ran && cp one two
    deps: [one]
    params: [size]
    metrics:
      - two:
          cache: false
  third:
    cmd: echo third >> ran && cp two three
    deps: [two]
    outs:
      - three:
          cache: false
"""
ALL = "first\nsecond\nthird\n"
LOCK = Path("dvc.lock")


def dvc(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A project of three stages that have run once each; the text of its lock file."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("params.yaml").write_text("size: 1\n")
    Path("source").write_text("source")
    subprocess.run(["git", "init", "-q"], check=True)
    assert dvc("init", "-q").returncode == 0
    assert dvc("repro", "-q").returncode == 0
    assert Path("ran").read_text() == ALL
    assert check_locks().state is State.OK
    return LOCK.read_bytes()


def test_without_a_cut_lock_file_only_outputs_that_dvc_does_not_cache_are_made_again(finished: bytes) -> None:
    LOCK.write_bytes(finished[: finished.rindex(b"deps") + 3])
    assert dvc("repro").returncode != 0
    found = check_locks()
    assert (found.state, found.found) == (State.FAIL, "dvc.lock: cut off")
    LOCK.unlink()
    Path("one").unlink()
    assert dvc("repro").returncode == 0
    # the run cache keeps metrics and plots of any kind, of other outputs those that are cached
    assert Path("ran").read_text() == ALL + "third\n"
    assert LOCK.read_bytes() == finished
    assert Path("one").read_text() == Path("three").read_text() == "source"


def test_a_cut_list_of_who_works_where_goes(finished: bytes) -> None:
    doctor.RWLOCK.write_text('{"write": {')
    assert dvc("repro", "--force").returncode != 0
    assert check_locks().found == ".dvc/tmp/rwlock: cut off"
    doctor.RWLOCK.unlink()
    assert dvc("repro", "--force").returncode == 0
