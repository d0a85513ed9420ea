"""Work in processes, in order; scratch that outlives kill -9; files that appear whole."""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter

from synctalk.errors import ClipError, Reason, UserError
from synctalk.runtime import jobs
from synctalk.runtime.jobs import content_key, fingerprint, map_ordered, n_workers, publish, scratch, write_json
from synctalk.runtime.workers import WorkerPool


@pytest.fixture(autouse=True)
def _state_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STATE_DIR", tmp_path / "state")


def slow_square(number: int) -> tuple[int, int]:
    time.sleep(0.02 * (number % 3))
    return number * number, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    results = list(map_ordered(slow_square, list(range(10)), label="test", workers=workers))
    assert [square for square, _ in results] == [n * n for n in range(10)]
    here = {pid == os.getpid() for _, pid in results}
    assert here == {workers == 1}


def test_no_items_give_no_results() -> None:
    assert list(map_ordered(slow_square, [], label="test", workers=2)) == []


def torch_threads(_: int) -> int:
    return torch.get_num_threads()


def test_workers_leave_the_threads_of_torch_to_their_parent() -> None:
    """A forked process that opens OpenMP's threads after its parent did would hang for ever."""
    before = torch.get_num_threads()
    assert list(map_ordered(torch_threads, [0, 1, 2], label="test", workers=2)) == [1, 1, 1]
    assert torch.get_num_threads() == before


def collected(_: int) -> bool:
    return gc.collect() >= 0


def test_workers_leave_the_garbage_of_their_parent_alone() -> None:
    """A converter of FFmpeg joins its threads when it is freed, and a forked process has none of its parent's."""
    frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
    converter = VideoReformatter()
    converter.reformat(frame, 64, 64, "yuv420p", threads=2)
    cycle: list[object] = [converter]
    cycle.append(cycle)
    gc.disable()
    try:
        del converter, cycle
        with WorkerPool(1) as pool:
            assert list(pool.map(collected, [0], limit_s=10, tries=1)) == [True]
    finally:
        gc.enable()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise UserError("clip 3", "is broken")
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_an_item_comes_after_the_results_before_it(workers: int) -> None:
    results = map_ordered(fail_at_three, list(range(6)), label="test", workers=workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match="clip 3: is broken"):
        next(results)


def test_errors_come_out_of_a_worker_as_they_went_in() -> None:
    for error in (UserError("clip 3", "is broken", "mend it"), ClipError(Reason.NO_FACE, "0 of 20 frames")):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)


def test_the_worker_count_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "3")
    assert n_workers() == 3
    monkeypatch.delenv("SYNCTALK_WORKERS")
    assert n_workers() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "1.5"])
def test_a_worker_count_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", text)
    with pytest.raises(UserError) as error:
        n_workers()
    assert str(error.value) == f"SYNCTALK_WORKERS: is {text!r}; set it to a number of processes"


def test_fingerprints_see_content_and_not_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint("a", "b") != fingerprint("ab")
    assert len(fingerprint()) == 16


def test_the_key_of_inputs_follows_their_bytes_and_not_their_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.parquet").write_bytes(b"rows")
    (tmp_path / "file").write_bytes(b"x")
    key = content_key(tmp_path / "one", tmp_path / "file", None)
    assert key == content_key(tmp_path / "two", tmp_path / "file", None)
    (tmp_path / "two" / "index.parquet").write_bytes(b"rowz")
    assert content_key(tmp_path / "two", tmp_path / "file", None)[0] != key[0]
    assert key[1] != key[0]
    assert key[2] == ""


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
    monkeypatch.setattr(jobs, "code_fingerprint", lambda: "other")
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
from synctalk.runtime import jobs

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

with jobs.scratch("s", "parts") as folder:
    todo = [n for n in range(4) if not (folder / str(n)).exists()]
    for n in jobs.map_ordered(last, todo, label="work", workers=2):
        (folder / str(n)).write_text("")
    print(sorted(path.name for path in folder.iterdir()))
"""


def start_worker(folder: Path, how: str) -> subprocess.Popen[str]:
    root = Path(jobs.__file__).parents[1]
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
    monkeypatch.setattr(jobs, "STATE_DIR", tmp_path / ".synctalk")
    first = start_worker(tmp_path, "stall")
    wait_for(tmp_path / "stalled")
    (folder,) = (tmp_path / ".synctalk" / "scratch").glob("s-*")
    wait_for(folder / "2")
    monkeypatch.setattr(jobs, "LOCK_PATIENCE_S", 0.2)
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


def test_published_files_are_hard_links_that_replace_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "scratch" / "a", tmp_path / "out" / "deep" / "a"
    source.parent.mkdir()
    source.write_text("new")
    publish(source, target)
    assert target.stat().st_ino == source.stat().st_ino
    other = tmp_path / "scratch" / "b"
    other.write_text("newer")
    before = target.open()
    publish(other, target)
    assert target.read_text() == "newer"
    assert before.read() == "new"  # a reader of the old file is not disturbed
    before.close()
    assert source.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_where_links_are_refused_a_copy_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("content")
    publish(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "content"
    assert (tmp_path / "b").stat().st_ino != (tmp_path / "a").stat().st_ino


def test_what_a_killed_publish_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / ".b.tmp").write_text("half")
    publish(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "content"
    assert not (tmp_path / ".b.tmp").exists()


def test_json_is_sorted_and_ends_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.json"
    write_json(path, {"b": {"z": 1, "a": 0.5}, "a": None})
    assert path.read_text() == '{\n  "a": null,\n  "b": {\n    "a": 0.5,\n    "z": 1\n  }\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text())["b"] == {"z": 1, "a": 0.5}
