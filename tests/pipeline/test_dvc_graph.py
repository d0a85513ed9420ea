"""dvc.yaml tells the truth: what a stage imports, reads and is told is what DVC watches."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from import_closure import ROOT, import_closure

INFRASTRUCTURE = {
    Path(name)
    for name in (
        "pipeline/__init__.py",
        "pipeline/stage.py",
        "synctalk/__init__.py",
        "synctalk/errors.py",
        "synctalk/jobs.py",
        "synctalk/lock_files.py",
        "synctalk/params.py",
        "synctalk/parts.py",
        "synctalk/ray_tasks.py",
        "synctalk/section.py",
        "synctalk/workers.py",
    )
}
"""How work is run and how it fails: changes nothing about what comes out, so that no stage depends on it."""


def stages_of(file: str) -> dict[str, dict[str, Any]]:
    """Stage name -> its body, that of `do` where it is templated."""
    stages = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["stages"]
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


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_all_that_it_imports(name: str) -> None:
    deps = [Path(dep) for dep in names_of(STAGES[name]["deps"])]
    imported = import_closure(script_of(STAGES[name])) - INFRASTRUCTURE
    # an empty package file changes nothing
    imported = {file for file in imported if not (file.name == "__init__.py" and is_bare(file))}
    missing = {file for file in imported if not any(file == dep or dep in file.parents for dep in deps)}
    assert missing == set()


def is_bare(file: Path) -> bool:
    """Whether a file holds nothing but a docstring."""
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_no_code_that_it_does_not_import(name: str) -> None:
    imported = import_closure(script_of(STAGES[name]))
    code = [Path(dep) for dep in names_of(STAGES[name]["deps"]) if dep.startswith(("pipeline/", "synctalk/"))]
    unused = {dep for dep in code if not any(file == dep or dep in file.parents for file in imported)}
    assert unused == set()


def sections_read(script: Path) -> set[str]:
    """Sections of params.yaml that a script and what it imports load: first arguments of `load` and `load_entry`."""
    files = [script, *(file for file in import_closure(script) if file.parts[0] == "synctalk")]
    nodes = [node for file in files for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))]
    loads = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") in LOADERS]
    return {load.args[0].value for load in loads if isinstance(load.args[0], ast.Constant)}


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
