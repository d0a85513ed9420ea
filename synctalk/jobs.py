"""How long work is run: over processes, in order, resumable, one writer at a time.

Machine settings come from the environment and never from params.yaml, so that they are no part of what DVC hashes:
SYNCTALK_WORKERS (processes of extraction), SYNCTALK_DEVICE (torch device), SYNCTALK_THREADS (torch threads).
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from synctalk.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

STATE_DIR = Path(".synctalk")
"""Scratch, timings and locks of this checkout; untracked."""

_PR_SET_PDEATHSIG = 1


def n_workers() -> int:
    """Processes for extraction: SYNCTALK_WORKERS, or one a core.

    Raises:
        UserError: the variable is no positive number.
    """
    text = os.environ.get("SYNCTALK_WORKERS", str(len(os.sched_getaffinity(0))))
    if not text.isdigit() or int(text) < 1:
        raise UserError("SYNCTALK_WORKERS", f"is {text!r}", "set it to a number of processes")
    return int(text)


def die_with_parent() -> None:
    """Ask the kernel (Linux) to kill this process when its parent dies, so that no orphan goes on writing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start_worker() -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(0)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)  # a forked process hangs in OpenMP's threads of its parent; one core each is right too


def progress_bar(**options: Any) -> tqdm[Any]:  # noqa: ANN401  # tqdm's own options
    """A progress bar; where the output is no terminal, a line every ten seconds instead of a moving one."""
    return tqdm(mininterval=0.5 if sys.stderr.isatty() else 10.0, dynamic_ncols=True, **options)


def map_ordered(
    function: Callable[[Item], Result], items: Sequence[Item], *, label: str, workers: int | None = None
) -> Iterator[Result]:
    """`function` over `items` in a pool of processes with a progress bar; results come in the order of `items`."""
    workers = min(workers or n_workers(), max(1, len(items)))
    with progress_bar(total=len(items), desc=label, unit="item") as progress:
        if workers == 1:
            for item in items:
                yield function(item)
                progress.update()
            return
        # fork keeps start-up at milliseconds; _start_worker leaves the parent's threads of torch alone
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
            for result in pool.map(function, items, chunksize=1):
                yield result
                progress.update()


def fingerprint(*parts: Any) -> str:  # noqa: ANN401  # anything that JSON can say
    """Short hash of JSON-able parts, for the names of scratch folders and units of work."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


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
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted([*package.rglob("*.py"), *(package.parent / "pipeline").glob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def scratch(stage: str, *parts: Any) -> Iterator[Path]:  # noqa: ANN401  # as fingerprint
    """A folder for finished units of work that outlives kill -9 and is found again by the same `parts` and code.

    Held by a lock for one process at a time; removed when the block ends without an error. Folders of the same
    stage with another fingerprint are stale and removed at once.

    Raises:
        UserError: another process holds the stage.
    """
    root = STATE_DIR / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{stage}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"stage {stage}", "is being run by another process", "wait for it or stop it") from error
        folder = root / f"{stage}-{fingerprint(code_fingerprint(), *parts)}"
        for stale in root.glob(f"{stage}-????????????????"):
            if stale != folder:
                shutil.rmtree(stale)
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)


def publish(source: Path, target: Path) -> None:
    """Put a finished file in its place: a hard link where the file system allows, else a copy; atomic either way."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # anything that JSON can say
    """Write JSON with sorted keys, by way of a temporary file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)
