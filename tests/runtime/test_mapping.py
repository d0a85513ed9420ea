"""Work in processes, in order."""

from __future__ import annotations

import gc
import os
import pickle
import time

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter

from synctalk.errors import ClipError, Reason, UserError
from synctalk.runtime.mapping import map_ordered, n_workers
from synctalk.runtime.workers import WorkerPool


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
