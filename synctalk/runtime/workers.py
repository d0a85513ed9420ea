"""Processes of this machine that are sent calls one at a time, and may hang or die in the middle of one.

`concurrent.futures` can neither kill one worker nor go on after one has died; both are ordinary here, since video
decoders hang and crash on damaged files. Pebble does the former, but all its workers share one locked pipe: one that is
killed while idle takes the pool with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from synctalk.errors import Reason

Item = TypeVar("Item")
Result = TypeVar("Result")

CALLS_AHEAD = 4
"""Items for each worker that may be begun before the first of them is done: bounds what is held, keeps all busy."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Lost:
    """What stands for a result when a call hung or killed its process as often as it was tried.

    Attributes:
        reason: `TIMED_OUT` or `CRASHED`.
        detail: one line for a person.
    """

    reason: Reason
    detail: str


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel (Linux) to kill this process when its parent dies, so that no orphan goes on writing.

    Args:
        parent: process that started this one; when it has died already, this one ends here.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def _start_method() -> str:
    """`fork`, which starts in milliseconds, where it is safe: on Linux, and not beside Ray's threads."""
    ray = sys.modules.get("ray")
    threads = ray is not None and getattr(ray, "is_initialized", bool)()
    return "fork" if sys.platform == "linux" and not threads else "spawn"


def _settle(parent: int) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(0)
    threadpool_limits(1, "blas")  # a forked process may spin for ever in its parent's threads of OpenBLAS
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)  # a forked process hangs in OpenMP's threads of its parent; one core each is right too


def _portable(error: Exception) -> Exception:
    """`error` with this process's trace as a note, or what can be said of it where it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    except Exception:  # noqa: BLE001  # whatever its reduction raises
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _serve(pipe: Connection, parent: int) -> None:
    """Answer calls until the pipe says None or ends."""
    _settle(parent)
    with contextlib.suppress(EOFError):
        while (call := pipe.recv()) is not None:
            function, item = call
            try:
                answer = pickle.dumps((function(item), None), pickle.HIGHEST_PROTOCOL)
            except Exception as error:  # noqa: BLE001  # raised again in the parent
                answer = pickle.dumps((None, _portable(error)))
            pipe.send_bytes(answer)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, *, daemon: bool) -> None:
        context = multiprocessing.get_context(_start_method())
        self.pipe, far_end = context.Pipe()
        # a daemon may have no children, and ends with its parent where the kernel does not see to it
        self.process: Any = context.Process(target=_serve, args=(far_end, os.getpid()), daemon=daemon)  # type: ignore[attr-defined]  # typeshed's BaseContext
        # what a forked process collects of its parent's garbage may wait for ever for the parent's threads, as a
        # codec of FFmpeg does
        gc.freeze()
        self.process.start()
        gc.unfreeze()
        far_end.close()

    def call(self, function: Callable[..., Any], item: Any) -> None:  # noqa: ANN401  # anything that pickles
        with contextlib.suppress(OSError):  # it has died while idle: seen when the answer is waited for
            self.pipe.send((function, item))

    def answer(self) -> tuple[Any, Exception | None] | None:
        """Result or error of the call; None where the process has died of it."""
        try:
            blob = self.pipe.recv_bytes()
        except (EOFError, OSError):
            return None
        answer: tuple[Any, Exception | None] = pickle.loads(blob)  # noqa: S301  # bytes of our own process
        return answer

    def death(self) -> str:
        """How the process died, for a person."""
        self.process.join()
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def stop(self) -> None:
        """End it after its call, if it has one."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join()
        self.pipe.close()


@dataclass
class _Call(Generic[Item]):
    number: int
    item: Item
    n_tries: int = 0
    deadline: float = float("inf")


class _OrderedCalls(Generic[Item, Result]):
    """Calls of one function on many items: those that wait, those at a worker, and results not given out yet."""

    def __init__(
        self,
        pool: WorkerPool,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        limit_s: float | None,
        tries: int,
    ) -> None:
        self.pool, self.function, self.limit_s, self.tries = pool, function, limit_s, tries
        self.source = enumerate(items)
        self.again: deque[_Call[Item]] = deque()
        self.busy: dict[_Worker, _Call[Item]] = {}
        self.done: dict[int, tuple[Result | Lost, Exception | None]] = {}
        self.n_taken = self.n_given = 0

    def results(self) -> Iterator[Result | Lost]:
        try:
            while True:
                self.assign()
                has_next = self.n_given in self.done
                if has_next:
                    result, error = self.done.pop(self.n_given)
                    self.n_given += 1
                    if error is not None:
                        raise error
                    yield result
                if self.busy:
                    self.collect(block=not has_next)
                elif not has_next:
                    return
        finally:
            for worker in self.busy:
                worker.kill()

    def assign(self) -> None:
        """Give every free worker a call, as far as there are any."""
        while len(self.busy) < self.pool.size and (call := self._next_call()) is not None:
            call.n_tries += 1
            if self.limit_s is not None:
                call.deadline = time.monotonic() + self.limit_s
            worker = self.pool.take()
            self.busy[worker] = call
            worker.call(self.function, call.item)

    def _next_call(self) -> _Call[Item] | None:
        if self.again:
            return self.again.popleft()
        if self.n_taken - self.n_given >= self.pool.size * CALLS_AHEAD:
            return None
        pair = next(self.source, None)
        if pair is None:
            return None
        self.n_taken += 1
        return _Call(*pair)

    def collect(self, *, block: bool) -> None:
        """Move calls that have ended, well or badly, from `busy` to where they belong; wait for one if `block`."""
        first = min(call.deadline for call in self.busy.values())
        timeout = None if first == float("inf") else max(0.0, first - time.monotonic())
        ends = [end for worker in self.busy for end in (worker.pipe, worker.process.sentinel)]
        ready = set(wait(ends, timeout if block else 0.0))
        for worker, call in list(self.busy.items()):
            if worker.pipe in ready or worker.process.sentinel in ready:
                answer = worker.answer()
                if answer is not None:
                    del self.busy[worker]
                    self.done[call.number] = answer
                    self.pool.idle.append(worker)
                else:
                    self._lose(worker, call, Reason.CRASHED, f"its process died of {worker.death()}")
            elif call.deadline <= time.monotonic():
                self._lose(worker, call, Reason.TIMED_OUT, f"took longer than {self.limit_s:g} s")

    def _lose(self, worker: _Worker, call: _Call[Item], reason: Reason, detail: str) -> None:
        del self.busy[worker]
        worker.kill()
        if call.n_tries < self.tries:
            self.again.append(call)
        else:
            times = f", {call.n_tries} times" if call.n_tries > 1 else ""
            self.done[call.number] = (Lost(reason, detail + times), None)


class WorkerPool:
    """So many worker processes, started when they are first needed; one that was lost is replaced.

    Args:
        size: processes.
        daemon: whether the workers end with this process in any case, and have no workers of their own.
    """

    def __init__(self, size: int, *, daemon: bool = False) -> None:
        self.size, self.daemon = size, daemon
        self.idle: list[_Worker] = []

    def take(self) -> _Worker:
        """A free worker, a new one if need be."""
        return self.idle.pop() if self.idle else _Worker(daemon=self.daemon)

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        limit_s: float | None = None,
        tries: int = 3,
    ) -> Iterator[Result | Lost]:
        """Results in the order of `items`, which are taken as they are needed.

        Args:
            function: picklable; what it raises is raised here when its turn comes.
            items: picklable.
            limit_s: seconds after which a call is taken to hang, and its process is killed.
            tries: how often an item is begun, in a fresh process each time, before it is given up for `Lost`: a worker
                that somebody else killed costs nothing but time.
        """
        return _OrderedCalls(self, function, items, limit_s, tries).results()

    def close(self) -> None:
        """End the workers."""
        while self.idle:
            self.idle.pop().stop()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
