"""Calls as tasks of a Ray cluster, in order and a bounded number at a time.

Nodes share a file system on which the project, its environment and the data have the paths that they have here: tasks
read and write files and send little. Ray begins a task again when its worker or its node is lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from synctalk.errors import Reason, UserError
from synctalk.runtime.workers import CALLS_AHEAD, Lost

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_RETRIES = 8
"""Of a task whose worker or node died: machines on loan come and go; a task that kills its worker does so again."""
MIN_AHEAD = 8
"""Tasks in flight on the smallest cluster."""


@dataclass(frozen=True)
class _Environment:
    """What a task must take over from the process that asks for it: folder, import path, settings."""

    folder: str
    path: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]

    @classmethod
    def current(cls) -> _Environment:
        settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("SYNCTALK_"))
        project = str(Path(__file__).parents[2])
        return cls(os.getcwd(), (project, *(entry for entry in sys.path if entry)), tuple(settings))

    def enter(self) -> None:
        os.chdir(self.folder)
        os.environ.update(self.settings)
        os.environ["SYNCTALK_EXECUTOR"] = "local"  # a task asks for no tasks
        sys.path[:0] = [entry for entry in self.path if entry not in sys.path]


def _connect() -> Any:  # noqa: ANN401  # the module, which may be missing
    """The module `ray`, connected to the cluster that RAY_ADDRESS or this machine names.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("SYNCTALK_EXECUTOR=ray", "Ray is not installed", "pip install 'synctalk[ray]'") from error
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = os.environ.get("RAY_ADDRESS", "auto")
        config = ray.job_config.JobConfig(code_search_path=[str(Path(__file__).parents[2])])
        options: dict[str, Any] = {"job_config": config, "log_to_driver": False, "logging_level": logging.WARNING}
        if address == "local":
            options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        try:
            ray.init(address, **options)
        except ConnectionError as error:
            mend = "`ray start --head` begins one; RAY_ADDRESS names another machine's, or is `local`"
            raise UserError(f"RAY_ADDRESS={address}", "no Ray cluster answers", mend) from error
    return ray


def _perform(environment: _Environment, call: bytes) -> Any:  # noqa: ANN401  # whatever the function returns
    environment.enter()
    function, item = pickle.loads(call)  # noqa: S301  # bytes of our own driver
    return function(item)


def map_on_ray(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Lost]:
    """`function` over `items` as tasks of one CPU; results in the order of `items`.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    ray = _connect()
    task = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(_perform)
    environment = ray.put(_Environment.current())
    pending: deque[Any] = deque()
    try:
        for item in items:
            while len(pending) >= max(MIN_AHEAD, CALLS_AHEAD * int(ray.cluster_resources().get("CPU", 1))):
                yield _result(ray, pending.popleft())
            pending.append(task.remote(environment, pickle.dumps((function, item))))
        while pending:
            yield _result(ray, pending.popleft())
    finally:
        for reference in pending:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(reference, force=True)


def _result(ray: Any, reference: Any) -> Any:  # noqa: ANN401  # Ray's own kinds
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        return Lost(Reason.CRASHED, str(error).splitlines()[0])
