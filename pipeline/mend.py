"""Mend what a killed DVC left half written: `python -m pipeline.mend`. `make demo` begins with it."""

from __future__ import annotations

from pathlib import Path

import typer

from pipeline.stage import run
from synctalk.errors import UserError
from synctalk.runtime.lock_files import RWLOCK, mend_locks, mend_rwlock


def main() -> None:
    """Mend DVC's own files after a kill; says nothing where they are whole."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.lock import LockError, make_lock
    from dvc.repo import Repo

    try:
        repo = Repo()
        guard = make_lock(f"{RWLOCK.absolute()}.lock", tmp_dir=repo.tmp_dir)
        # another DVC may be writing at this moment
        with repo.lock, guard:
            said = [*mend_rwlock(), *mend_locks()]
    except LockError as error:
        raise UserError(".dvc/tmp/lock", "another DVC is at work", "wait for it") from error
    except NotDvcRepoError as error:
        raise UserError(Path.cwd(), "is no checkout", "run in the root of the project") from error
    for line in said:
        typer.echo(line)


if __name__ == "__main__":
    run(main)
