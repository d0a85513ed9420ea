"""Stage: the figures of `variant` -> the one git-tracked metrics.json that `dvc metrics diff` compares."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.stage import run
from synctalk.atomic import write_json


def main(chosen: Path, out: Path) -> None:
    """Copy the figures of the method folder CHOSEN to OUT."""
    write_json(out, json.loads((chosen / "metrics.json").read_text(encoding="utf-8")))


if __name__ == "__main__":
    run(main)
