"""What every stage shares: its command line, errors of one line, and the record of how long it took."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import typer

from synctalk.errors import UserError, no_room
from synctalk.runtime.scratch import STATE_DIR
from synctalk.runtime.workers import die_with_parent

TIMINGS = STATE_DIR / "timings.jsonl"
Recipe = TypeVar("Recipe")


def _record(stage: str, wall_s: float) -> None:
    """Append a line of wall time and peak memory; machine-dependent, so it is no output of the stage."""
    peak_kb = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    TIMINGS.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "stage": stage,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_s": round(wall_s, 1),
        "peak_mb": round(peak_kb / 1024),
    }
    with TIMINGS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def required_recipe(judge: str, recipe: Recipe | None) -> Recipe:
    """The recipe of a judge for which no published checkpoint is named.

    Raises:
        UserError: there is none.
    """
    if recipe is None:
        raise UserError(judge, "has neither a checkpoint nor a recipe", "set one of the two")
    return recipe


def run(main: Callable[..., Any]) -> None:
    """Run a stage's function as a command line; a `UserError` becomes one line on stderr and exit status 1."""
    die_with_parent()
    started = time.monotonic()
    recorded = os.environ.get("DVC_STAGE") if os.environ.get("RANK", "0") == "0" else None
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app(standalone_mode=False)
    except UserError as error:
        sys.exit(f"error: {error}")
    except typer.Abort:
        sys.exit("error: interrupted")
    except Exception as error:
        if hasattr(error, "format_message"):  # click's usage errors, in whatever module typer keeps them
            sys.exit(f"error: {error.format_message()}")
        if (full := no_room(error)) is not None:
            sys.exit(f"error: {full}")
        raise
    if recorded:
        _record(recorded, time.monotonic() - started)
