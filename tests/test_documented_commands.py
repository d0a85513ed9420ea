"""Commands in the documentation are accepted by the programs they call: a renamed option breaks a test."""

from __future__ import annotations

import importlib.util
import re
import shlex

import pytest
import typer
from root import ROOT

from synctalk.cli.app import app

PAGES = ("README.md", "CONTRIBUTING.md")


def documented(first: str) -> list[str]:
    """Lines of indented shell that begin with `first`, continued lines joined, comments cut."""
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES).replace("\\\n", " ")
    lines = re.findall(rf"^    ({first} .*)$", text, re.MULTILINE)
    return sorted({re.sub(r"\s+#.*", "", line) for line in lines})


@pytest.mark.parametrize("line", documented("synctalk"))
def test_options_and_arguments_are_those_of_the_program(line: str) -> None:
    command, (_, *words) = typer.main.get_command(app), shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(line, words)
    assert context.command is command
    assert context.args == []


@pytest.mark.parametrize("line", documented("python -m"))
def test_modules_are_there(line: str) -> None:
    assert importlib.util.find_spec(shlex.split(line)[2]) is not None


def test_there_are_commands() -> None:
    assert len(documented("synctalk")) >= 5
    assert documented("python -m")
