"""The first command of the stage `code`, on which all stages depend: params.yaml as a whole, before anything runs."""

from __future__ import annotations

from pipeline.stage import run
from synctalk.params.schema import check, check_recipes


def main() -> None:
    """Check params.yaml and the recipes of the look-alikes: what is wrong is one line that names the choices."""
    check()
    check_recipes()


if __name__ == "__main__":
    run(main)
