"""Core-seconds: one core, CPU time, medians over repeats."""

from __future__ import annotations

import functools
import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import cv2
import torch
from threadpoolctl import threadpool_limits

BUSY = 1.1
"""Wall time over CPU time from which on the machine is called busy."""


def use_one_core() -> int:
    """Keep this process and the threads of its libraries on one core, one thread a library; returns the core's
    number.
    """
    core = max(os.sched_getaffinity(0))
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})
    threadpool_limits(1)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    return core


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


class Stopwatch:
    """CPU seconds of this process by step. A step inside another one stops the clock of the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    def _account(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        self._account()
        self._open.append(step)
        try:
            yield
        finally:
            self._account()
            self._open.pop()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time accounted to `step`."""

        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> Any:
            with self.of(step):
                return function(*args, **options)

        return run


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Median of each step over the runs."""
    return {step: median(run.get(step, 0.0) for run in runs) for step in runs[0]}


def repeat(measure: Callable[[Stopwatch], Any], repeats: int, *, warm_up: bool = True) -> dict[str, float]:
    """Median CPU seconds by step of `repeats` runs, after one that is not counted."""
    if warm_up:
        measure(Stopwatch())
    runs = []
    for _ in range(repeats):
        meter = Stopwatch()
        measure(meter)
        runs.append(dict(meter.seconds))
    return medians(runs)


@contextmanager
def watch_for_others() -> Iterator[None]:
    """Say so at the end where this process had to wait for its core: the figures are then too low."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    yield
    share = (time.perf_counter() - wall) / (cpu_seconds() - cpu)
    if share > BUSY:
        print(f"BUSY MACHINE: the run took {share:.2f} times its CPU time; caches were shared, figures are too low")
