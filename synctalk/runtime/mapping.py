"""A function over many items, in processes of this machine or of a cluster; results in order.

Machine settings come from the environment and never from params.yaml, so that they are no part of what DVC hashes:
SYNCTALK_WORKERS (processes of extraction), SYNCTALK_EXECUTOR (`local` or `ray`), SYNCTALK_CLIP_LIMIT_S (see
`synctalk.runtime.parts`), SYNCTALK_DEVICE and SYNCTALK_THREADS (see `synctalk.runtime.device`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from synctalk.errors import UserError
from synctalk.runtime.progress import progress_bar
from synctalk.runtime.workers import Lost, WorkerPool

Item = TypeVar("Item")
Result = TypeVar("Result")


def n_workers() -> int:
    """Processes for extraction: SYNCTALK_WORKERS, or one a core.

    Raises:
        UserError: the variable is no positive number.
    """
    text = os.environ.get("SYNCTALK_WORKERS", str(len(os.sched_getaffinity(0))))
    if not text.isdigit() or int(text) < 1:
        raise UserError("SYNCTALK_WORKERS", f"is {text!r}", "set it to a number of processes")
    return int(text)


def executor() -> str:
    """Where parallel work runs: SYNCTALK_EXECUTOR, `local` (processes of this machine) or `ray` (a cluster).

    Raises:
        UserError: another value.
    """
    name = os.environ.get("SYNCTALK_EXECUTOR", "local")
    if name not in ("local", "ray"):
        raise UserError("SYNCTALK_EXECUTOR", f"is {name!r}", "set it to local or ray")
    return name


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    label: str,
    workers: int | None = None,
    total: int | None = None,
) -> Iterator[Result]:
    """`function` over `items` in processes, of this machine or of a Ray cluster; results in the order of `items`.

    Items are taken and results held a few for each worker at a time, whatever the number of items. An item whose worker
    dies is begun again elsewhere.

    Args:
        function: picklable, as are items and results. On a cluster it finds the files that it names where this
            process does: a file system that all nodes share.
        items: in any number.
        label: for the progress bar.
        workers: processes; `n_workers` where None. A single one works in this process. On Ray the cluster decides.
        total: number of items, where `items` does not know it.

    Raises:
        UserError: an item's worker died every time it was tried.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    workers = min(workers or n_workers(), max(1, total or 1)) if total is not None else workers or n_workers()
    with progress_bar(total=total, desc=label, unit="item") as progress:
        for result in _results(function, items, workers):
            if isinstance(result, Lost):
                raise UserError(label, f"a worker was lost again and again: {result.detail}", "look at its memory")
            yield result
            progress.update()


def _results(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result | Lost]:
    if executor() == "ray":
        from synctalk.runtime.ray_tasks import map_on_ray

        yield from map_on_ray(function, items)
    elif workers == 1:
        yield from map(function, items)
    else:
        with WorkerPool(workers) as pool:
            yield from pool.map(function, items)
