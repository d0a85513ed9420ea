"""Scratch that outlives kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import synctalk
from synctalk.errors import UserError
from synctalk.runtime.scratch import scratch


@pytest.fixture(autouse=True)
def _state_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synctalk.runtime.scratch.STATE_DIR", tmp_path / "state")


def interrupt(*parts: object) -> Path:
    """A scratch of stage `s` that an error ends, with a file in it."""
    held = scratch("s", *parts)
    folder = held.__enter__()
    (folder / "unit").write_text("done")
    error = KeyError("unit")
    assert not held.__exit__(KeyError, error, None)
    return folder


def test_interrupted_scratch_is_found_again_by_the_same_parts_and_removed_at_the_end() -> None:
    kept = interrupt({"lr": 0.1}, [1, 2])
    assert (kept / "unit").read_text() == "done"
    with scratch("s", {"lr": 0.1}, [1, 2]) as folder:
        assert folder == kept
        assert (folder / "unit").read_text() == "done"
    assert not kept.exists()


@pytest.mark.parametrize("part", [{"lr": 0.2}, {"lr": 0.1, "x": None}])
def test_scratch_of_other_parts_is_stale_and_removed(part: object) -> None:
    stale = interrupt({"lr": 0.1})
    with scratch("s", part) as folder:
        assert not stale.exists()
        assert list(folder.iterdir()) == []


def test_scratch_of_other_code_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = interrupt(1)
    monkeypatch.setattr("synctalk.runtime.scratch.code_fingerprint", lambda: "other")
    with scratch("s", 1) as folder:
        assert folder != stale
        assert not stale.exists()


def test_other_stages_keep_their_scratch() -> None:
    kept = interrupt(1)
    with scratch("s-two", 1), scratch("t", 1):
        assert (kept / "unit").exists()
    assert (kept / "unit").exists()


WORKER = """
import sys, time
from pathlib import Path
from synctalk.runtime.mapping import map_ordered
from synctalk.runtime.scratch import scratch

def unit(number):
    made = Path(sys.argv[1]) / f"by-{number}"
    if not made.exists():
        made.write_text("once")
    else:
        made.write_text("twice")
    return number

def last(number):
    if number == 3 and sys.argv[2] == "stall":
        Path(sys.argv[1], "stalled").touch()
        time.sleep(60)
    return unit(number)

with scratch("s", "parts") as folder:
    todo = [n for n in range(4) if not (folder / str(n)).exists()]
    for n in map_ordered(last, todo, label="work", workers=2):
        (folder / str(n)).write_text("")
    print(sorted(path.name for path in folder.iterdir()))
"""


def start_worker(folder: Path, how: str) -> subprocess.Popen[str]:
    root = Path(synctalk.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), how], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.02)


def test_after_kill_9_the_next_process_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synctalk.runtime.scratch.STATE_DIR", tmp_path / ".synctalk")
    first = start_worker(tmp_path, "stall")
    wait_for(tmp_path / "stalled")
    (folder,) = (tmp_path / ".synctalk" / "scratch").glob("s-*")
    wait_for(folder / "2")
    monkeypatch.setattr("synctalk.runtime.scratch.LOCK_PATIENCE_S", 0.2)
    with pytest.raises(UserError, match="stage s: is being run by another process; wait for it or stop it"):
        scratch("s", "other parts").__enter__()
    assert (folder / "2").exists()  # a second process does not clear what the first one works in
    first.send_signal(signal.SIGKILL)
    first.communicate()
    # its pool dies with it: otherwise the children, asleep, would still hold the lock
    second = start_worker(tmp_path, "go")
    out, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert out.strip() == "['0', '1', '2', '3']"
    assert [(tmp_path / f"by-{n}").read_text() for n in range(4)] == ["once"] * 4
    assert list((tmp_path / ".synctalk" / "scratch").glob("s-*")) == []
