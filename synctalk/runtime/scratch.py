"""Scratch folders that outlive kill -9, each held by one process at a time."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from synctalk.errors import UserError
from synctalk.runtime.fingerprints import code_fingerprint, fingerprint

STATE_DIR = Path(".synctalk")
"""Scratch, timings and locks of this checkout; untracked."""
LOCK_PATIENCE_S = 3.0
"""Time that the kernel has to end the workers of a killed run."""


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
    *key: Any,  # noqa: ANN401  # as fingerprint
    root: Path | None = None,
) -> Iterator[Path]:
    """A folder for finished work that outlives kill -9 and is found again by the same `key` and code.

    Held by a lock for one process at a time; removed when the block ends without an error. Folders of the same
    stage with another fingerprint are stale and removed at once.

    Args:
        stage: name of the folder and of its lock.
        key: what decides the bytes of the work, JSON-able.
        root: where the folder lies; that of the checkout where None.

    Raises:
        UserError: another process holds the stage.
    """
    root = root or STATE_DIR / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{stage}.lock").open("w") as lock:
        _take(lock, stage)
        folder = root / f"{stage}-{fingerprint(code_fingerprint(), *key)}"
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
