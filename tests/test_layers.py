"""Imports go one way, from the top layer to the bottom, and docs/architecture.md draws the layers as they are."""

from __future__ import annotations

import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from root import ROOT

from pipeline.code import direct_imports

LAYERS = (
    ("pipeline", "cli"),
    ("doctor", "planning"),
    ("schema",),
    ("report", "study"),
    ("tables", "screening"),
    ("training", "evaluation"),
    ("generation",),
    ("checkpoints",),
    ("features",),
    ("faces",),
    ("shards",),
    ("corpora",),
    ("models", "losses", "metrics"),
    ("media",),
    ("runtime",),
    ("params",),
    ("rejected",),
    ("parquet",),
    ("atomic", "errors", "timebase"),
)
"""From the top: a package imports from layers below its own, and nothing of its neighbours."""
RANK = {package: number for number, layer in enumerate(LAYERS) for package in layer}
OUTSIDE = {Path("synctalk/__init__.py"), Path("synctalk/__main__.py")}
"""The version, which all may read, and the command line's other name."""
FILES = sorted(
    file.relative_to(ROOT)
    for folder in ("synctalk", "pipeline")
    for file in (ROOT / folder).rglob("*.py")
    if file.relative_to(ROOT) not in OUTSIDE
)


def package_of(file: Path) -> str:
    """The package of `LAYERS` that a file belongs to; a module that is named there is one of its own."""
    parts = file.with_suffix("").parts
    if parts[0] == "pipeline":
        return "pipeline"
    module = ".".join(parts[1:3])
    return module if module in RANK else parts[1]


def test_every_file_has_a_layer() -> None:
    assert {package_of(file) for file in FILES} == RANK.keys()


@pytest.mark.parametrize("package", RANK)
def test_imports_go_down(package: str) -> None:
    upward = [
        f"{file} imports {imported}"
        for file in FILES
        if package_of(file) == package
        for imported in direct_imports(ROOT, file) - OUTSIDE
        if package_of(imported) != package and RANK[package_of(imported)] <= RANK[package]
    ]
    assert upward == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {file: direct_imports(ROOT, file) for file in FILES if file.name != "__init__.py"}
    TopologicalSorter({file: imports & modules.keys() for file, imports in modules.items()}).prepare()


def test_the_page_draws_these_layers() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = re.search(r"^## Layers$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert table
    rows = re.findall(r"^\| *[^|]+\|([^|]*`[^|]*)\|", table[1], re.MULTILINE)
    assert [tuple(re.findall(r"`([\w.]+)`", row)) for row in rows] == list(LAYERS)


def test_no_class_name_comes_twice() -> None:
    names = [name for file in FILES for name in re.findall(r"^class _?(\w+)", (ROOT / file).read_text(), re.MULTILINE)]
    assert [name for name, count in Counter(names).items() if count > 1] == []
