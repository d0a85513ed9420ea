"""DVC's own files after a kill: copies of its lock files, and mending what was left half written.

DVC writes its lock files in place, which takes a second for those of this project: a kill in that second leaves a file
that every later command refuses. Each stage keeps a copy of the lock files as it begins, when DVC has just read them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import yaml

from synctalk.runtime.scratch import STATE_DIR

LOCK_FILES = (Path("dvc.lock"), Path("data/synthetic/dvc.lock"))
KEPT = STATE_DIR / "locks"
"""Copies of the lock files, and what was replaced by them."""
RWLOCK = Path(".dvc/tmp/rwlock")
"""Which process of DVC works on which path."""


def is_whole(lock: Path) -> bool:
    """Whether DVC can read this lock file and finds a stage in it."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        # the safe loader, in C: six times faster than DVC's
        read = COMPILED_LOCKFILE_SCHEMA(yaml.load(lock.read_bytes(), yaml.CSafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return bool(read.get("stages"))


def keep_locks() -> None:
    """Copy the lock files, which DVC has just read, to where `mend_locks` looks for them."""
    for lock in filter(Path.is_file, LOCK_FILES):
        kept = KEPT / lock
        kept.parent.mkdir(parents=True, exist_ok=True)
        copy = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.copyfile(lock, copy)
        os.replace(copy, kept)


def committed(lock: Path) -> bytes | None:
    """The lock file as the last commit has it; None where it has none."""
    found = subprocess.run(["git", "show", f"HEAD:./{lock}"], capture_output=True, check=False)
    return found.stdout if found.returncode == 0 else None


def mend_locks() -> list[str]:
    """Put whole lock files in the place of broken ones; a line about each. Stages that a lock file no longer knows are
    taken from DVC's run cache or run again.
    """
    said = []
    for lock in LOCK_FILES:
        if not lock.is_file() or is_whole(lock):
            continue
        kept = KEPT / lock
        broken = kept.with_name(f"{kept.name}.broken")
        broken.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lock, broken)
        if kept.is_file() and is_whole(kept):
            os.replace(kept, lock)
            source = "as it was when the last stage began"
        elif (text := committed(lock)) is not None:
            lock.write_bytes(text)
            source = "as the last commit has it"
        else:
            lock.unlink()
            source = "without it"
        said.append(f"{lock}: was cut off while DVC wrote it; going on {source} (the broken one is {broken})")
    return said


def mend_rwlock() -> list[str]:
    """Remove DVC's list of who works where if it was cut off: its writers are gone."""
    try:
        json.loads(RWLOCK.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (json.JSONDecodeError, UnicodeDecodeError):
        RWLOCK.unlink()
        return [f"{RWLOCK}: was cut off while DVC wrote it; removed"]
    return []
