"""The command line as a whole: help with examples, completion, exit statuses, one-line errors, light imports."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from root import ROOT

from synctalk.cli.app import EXIT_DEFECT, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_USAGE, app, main

HEAVY = ("torch", "numpy", "pandas", "cv2", "av", "scipy", "sklearn", "jinja2", "dvc", "pyarrow", "yaml")
OPTIONAL = ("ray", "s3fs", "botocore", "onnxruntime", "insightface")


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, and the words that call it."""
    command = command or typer.main.get_command(app)
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(commands())
"""By the words that call them."""


def synctalk(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "synctalk", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def ends_with(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    """The exit status of `synctalk WORDS`, run in this process; 1 where it ends with a line."""
    monkeypatch.setattr(sys, "argv", ["synctalk", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example_that_parses(path: tuple[str, ...]) -> None:
    """The words of the example go through the parser of their own command."""
    command = COMMANDS[path]
    _, *examples = command.help.split("Example: ")
    assert examples
    for example in examples:
        called, *words = " ".join(example.split()).split()
        assert (called, *words[: len(path)]) == ("synctalk", *path)
        command.make_context(" ".join(path), words[len(path) :])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    assert [p.name for p in COMMANDS[path].params if p.name != "help" and not getattr(p, "help", "")] == []


def test_commands_whose_result_a_script_reads_have_json() -> None:
    without = {
        path for path, command in COMMANDS.items() if "--json" not in {o for p in command.params for o in p.opts}
    }
    assert without == {("study", "serve")}  # which ends only when it is stopped


def test_help_names_the_exit_statuses() -> None:
    text = " ".join(synctalk("--help").stdout.split())
    assert f"{EXIT_INPUT} bad input" in text
    assert f"{EXIT_USAGE} wrong usage" in text
    assert f"{EXIT_DEFECT} a defect" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dubb"], "error: No such command 'dubb'. Did you mean 'dub'? See `synctalk --help`."),
        (["weights", "verify"], "error: Missing argument 'file'. See `synctalk weights verify --help`."),
        (["plan", "--clip", "3"], "See `synctalk plan --help`."),
        (["score", "made", "-o", "out", "--beam", "many"], "See `synctalk score --help`."),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(monkeypatch, *words) == EXIT_USAGE
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert (out, line.endswith(says)) == ("", True), line


def test_debug_stands_anywhere_and_shows_the_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = synctalk("weights", "verify", "nowhere")
    assert (plain.returncode, plain.stdout) == (EXIT_INPUT, "")
    (line,) = plain.stderr.splitlines()
    assert line.startswith("error: nowhere: ")
    for words in (["--debug", "weights", "verify"], ["weights", "verify", "--debug"]):
        monkeypatch.setattr(sys, "argv", ["synctalk", *words, "nowhere"])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == line  # which Python prints, and exits with EXIT_INPUT
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (ZeroDivisionError("a\nb"), EXIT_DEFECT, "a defect of synctalk, not of its input (ZeroDivisionError: a b)"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "error: interrupted"),
    ],
)
def test_a_defect_and_an_interruption_are_one_line(
    raised: BaseException,
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(**_: object) -> None:
        raise raised

    monkeypatch.setattr("synctalk.cli.app.app", broken)
    assert ends_with(monkeypatch) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_reader_that_goes_away_is_no_trace() -> None:
    command = f"{sys.executable} -m synctalk weights list --json | head -c 10"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("[\n  {\n    ", "")


def test_completion_knows_commands_and_options() -> None:
    def offered(words: str) -> set[str]:
        count = str(len(words.split(" ")) - 1)
        done = synctalk(_SYNCTALK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count)
        return set(done.stdout.split())

    assert offered("synctalk d") == {"doctor", "dub"}
    assert offered("synctalk weights ") == {"import", "list", "verify"}
    assert "--transcripts" in offered("synctalk score --tr")
    # the shell that asks is looked for among the parents, of which the tests may have none
    script = f"{shlex.quote(sys.executable)} -m synctalk --show-completion; exit $?"
    shown = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    assert "_SYNCTALK_COMPLETE" in shown.stdout


def test_help_and_completion_import_nothing_heavy() -> None:
    script = f"""
import json, sys
from synctalk.cli.app import app
for words in {[list(path) for path in COMMANDS]}:
    app([*words, "--help"], prog_name="synctalk", standalone_mode=False)
heavy = {HEAVY + OPTIONAL}
print(json.dumps(sorted(set(heavy) & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_no_module_imports_what_an_extra_or_only_some_footage_needs() -> None:
    """Every module of the package is imported, and none of them brings in a package that it may never need."""
    names = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "synctalk").rglob("*.py")
        if path.name not in ("__main__.py", "ray_tasks.py")
    )
    script = f"""
import importlib, json, sys
for name in {names}:
    importlib.import_module(name)
print(json.dumps(sorted(set({OPTIONAL}) & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_version_is_that_of_the_package() -> None:
    assert f'version = "{synctalk("--version").stdout.strip()}"' in Path(ROOT / "pyproject.toml").read_text()
