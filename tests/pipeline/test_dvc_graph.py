"""dvc.yaml tells the truth: what a stage imports, reads and is told is what DVC watches."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from root import ROOT

from pipeline.code import import_closure


def stages_of(file: str) -> dict[str, dict[str, Any]]:
    """Stage name -> its body, that of `do` where it is templated."""
    stages = yaml.load((ROOT / file).read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


LOADERS = ("load", "load_entry", "entry_names")
STAGES = stages_of("dvc.yaml") | stages_of("data/synthetic/dvc.yaml")


def script_of(stage: dict[str, Any]) -> Path:
    """The file of `python -m pipeline.<name>`."""
    words = shlex.split(stage["cmd"])
    assert words[:2] == ["python", "-m"]
    return Path(*words[2].split(".")).with_suffix(".py")


def names_of(entries: list[Any]) -> list[str]:
    """Paths of deps or outs, whether plain or with options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"code"}))
def test_a_stage_depends_on_the_code_of_its_script_and_on_no_other(name: str) -> None:
    deps = names_of(STAGES[name]["deps"])
    assert [dep for dep in deps if dep.startswith(("data/code", "pipeline", "synctalk"))] == [
        f"data/code/{script_of(STAGES[name]).stem}.json"
    ]


def test_the_code_is_listed_anew_when_any_of_it_changes() -> None:
    assert STAGES["code"]["deps"] == ["pipeline", "synctalk"]


@cache
def sections_loaded(file: Path) -> set[str]:
    """First arguments of `load` and its like in a file of the project."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    loads = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") in LOADERS]
    return {load.args[0].value for load in loads if isinstance(load.args[0], ast.Constant)}


@cache
def sections_read(script: Path) -> set[str]:
    """Sections of params.yaml that a script and what it imports load."""
    files = [script, *(file for file in import_closure(ROOT, script) if file.parts[0] == "synctalk")]
    return set().union(*map(sections_loaded, files))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_watches_the_params_that_it_reads(name: str) -> None:
    watched = {str(param).split(".")[0] for param in STAGES[name].get("params", [])}
    # a corpus' root and layout come into the command by ${item...}, which DVC watches by itself
    templated = set(re.findall(r"\$\{(\w+)", " ".join(names_of(STAGES[name]["deps"]))))
    assert sections_read(script_of(STAGES[name])) <= watched | templated
    assert watched <= sections_read(script_of(STAGES[name])) | {"variant"}


@pytest.mark.parametrize("name", STAGES)
def test_commands_name_declared_paths_and_no_machine(name: str) -> None:
    stage = STAGES[name]
    declared = [name for kind in ("deps", "outs", "metrics", "plots") for name in names_of(stage.get(kind, []))]
    for word in shlex.split(stage["cmd"])[3:]:
        assert not re.search(r"worker|device|thread|jobs|cuda|nproc", word)
        if "/" in word and not word.startswith("${"):
            assert any(path == word or path.startswith(f"{word}/") or word.startswith(f"{path}/") for path in declared)


def test_files_that_git_keeps_are_not_cached_by_dvc() -> None:
    for name, stage in STAGES.items():
        for entry in [*stage.get("metrics", []), *stage.get("plots", [])]:
            assert next(iter(entry.values()))["cache"] is False, name
