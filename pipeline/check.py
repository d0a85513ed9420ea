"""The first command of the stage `code`, on which all stages depend: params.yaml as a whole, before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pipeline.stage import run
from synctalk.atomic import write_text
from synctalk.params.read import PARAMS, RECIPES
from synctalk.schema import check, check_recipes


def lists_on_one_line(text: str) -> str:
    """A YAML file with each list of plain words or numbers on the line of its key, and two blanks before a comment.

    `dvc exp run -S` spreads all lists over lines, and moves what follows a list before its items.
    """
    lines, out = text.splitlines(), list[str]()
    while lines:
        line = lines.pop(0)
        key = re.fullmatch(r"( *)([\w-]+):( +#.*)?", line)
        between, items = list[str](), list[str]()
        while key and lines and re.fullmatch(r" *(#.*)?", lines[0]):
            between.append(lines.pop(0))
        while key and lines and (item := re.fullmatch(rf"{key[1]}- ([^\s#'\"\[\]{{}},:&*]+)", lines[0])):
            items.append(item[1])
            lines.pop(0)
        if key and items:
            line = f"{key[1]}{key[2]}: [{', '.join(items)}]{key[3] or ''}"
        out += [re.sub(r"^( *[\w-]+: (?:''|[^#'\"]*[^#'\" ])) +# ", r"\1  # ", line), *between]
    return "\n".join(out) + "\n"


def tidy(path: Path) -> None:
    """Put the lists of a file of parameters on one line each, unless that would change what it says."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    tidied = lists_on_one_line(text)
    try:
        same = yaml.load(text, yaml.CSafeLoader) == yaml.load(tidied, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return  # the check says what is wrong
    if same and tidied != text:
        write_text(path, tidied)


def main() -> None:
    """Check params.yaml and the recipes of the look-alikes: what is wrong is one line that names the choices. Lists
    that `dvc exp run -S` has spread over lines are put back on one.
    """
    for path in (PARAMS, RECIPES):
        tidy(path)
    check()
    check_recipes()


if __name__ == "__main__":
    run(main)
