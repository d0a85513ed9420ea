"""How long work is run: over processes or a cluster, in order, resumable, one writer at a time.

Machine settings come from the environment and never from params.yaml, so that they are no part of what DVC hashes:
SYNCTALK_WORKERS (processes of extraction), SYNCTALK_EXECUTOR (`local` or `ray`), SYNCTALK_CLIP_LIMIT_S (see
`synctalk.runtime.parts`), SYNCTALK_DEVICE (torch device), SYNCTALK_THREADS (torch threads).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from tqdm import tqdm

from synctalk.errors import UserError
from synctalk.runtime.workers import Lost, WorkerPool

Item = TypeVar("Item")
Result = TypeVar("Result")

STATE_DIR = Path(".synctalk")
"""Scratch, timings and locks of this checkout; untracked."""
LOCK_PATIENCE_S = 3.0
"""Time that the kernel has to end the workers of a killed run."""


def n_workers() -> int:
    """Processes for extraction: SYNCTALK_WORKERS, or one a core.

    Raises:
        UserError: the variable is no positive number.
    """
    text = os.environ.get("SYNCTALK_WORKERS", str(len(os.sched_getaffinity(0))))
    if not text.isdigit() or int(text) < 1:
        raise UserError("SYNCTALK_WORKERS", f"is {text!r}", "set it to a number of processes")
    return int(text)


def progress_bar(**options: Any) -> tqdm[Any]:  # noqa: ANN401  # tqdm's own options
    """A progress bar; where the output is no terminal, a line every ten seconds instead of a moving one."""
    return tqdm(mininterval=0.5 if sys.stderr.isatty() else 10.0, dynamic_ncols=True, **options)


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


def fingerprint(*parts: Any) -> str:  # noqa: ANN401  # anything that JSON can say
    """Short hash of JSON-able parts, for the names of scratch folders and units of work."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest(parts: Iterable[Any]) -> str:
    """`fingerprint` of many parts, taken one at a time."""
    running = hashlib.sha256()
    for part in parts:
        running.update(fingerprint(part).encode())
    return running.hexdigest()[:16]


def content_key(*paths: Path | None) -> list[str]:
    """Hash of each file, or of the index of each folder of shards or clusters: what a resumed run must have begun
    with.
    """
    key = []
    for path in paths:
        if path is None:
            key.append("")
            continue
        files = [path] if path.is_file() else sorted(path.glob("*.parquet")) + sorted(path.glob("*.safetensors"))
        key.append(hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest())
    return key


def code_fingerprint() -> str:
    """Hash of the project's Python sources: resumed work must come from the code that began it."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted([*package.rglob("*.py"), *(package.parent / "pipeline").glob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _take(lock: IO[str], stage: str) -> None:
    """Lock a stage for this process; the workers of a run that was just killed hold it until they are dead too.

    Raises:
        UserError: another process holds it.
    """
    until = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                what = f"stage {stage}"
                raise UserError(what, "is being run by another process", "wait for it or stop it") from error
            time.sleep(0.05)


@contextmanager
def scratch(
    stage: str,
    *parts: Any,  # noqa: ANN401  # as fingerprint
    root: Path | None = None,
) -> Iterator[Path]:
    """A folder for finished units of work that outlives kill -9 and is found again by the same `parts` and code.

    Held by a lock for one process at a time; removed when the block ends without an error. Folders of the same
    stage with another fingerprint are stale and removed at once.

    Args:
        stage: name of the folder and of its lock.
        parts: what decides the bytes of the units, JSON-able.
        root: where the folder lies; that of the checkout where None.

    Raises:
        UserError: another process holds the stage.
    """
    root = root or STATE_DIR / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{stage}.lock").open("w") as lock:
        _take(lock, stage)
        folder = root / f"{stage}-{fingerprint(code_fingerprint(), *parts)}"
        for stale in root.glob(f"{stage}-????????????????"):
            if stale != folder:
                _remove(stale)
        folder.mkdir(exist_ok=True)
        yield folder
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder that, by its name, is whole or not there: one that is half gone must not be found again."""
    trash = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(trash, ignore_errors=True)
    folder.rename(trash)
    shutil.rmtree(trash)


def publish(source: Path, target: Path) -> None:
    """Put a finished file in its place: a hard link where the file system allows, else a copy; atomic either way."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # anything that JSON can say
    """Write JSON with sorted keys, by way of a temporary file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
