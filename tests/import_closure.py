"""Which of the project's files a module imports, directly and through others: what a DVC stage depends on."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _module_file(name: str) -> Path | None:
    """The project's file of a dotted module name; None where it is not ours."""
    base = ROOT.joinpath(*name.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file.relative_to(ROOT)
    return None


@cache
def direct_imports(file: Path) -> frozenset[Path]:
    """Files of the project that `file` (relative to the root) imports, anywhere in it, their packages included."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                if module := _module_file(".".join(parts[:end])):
                    found.add(module)
    return frozenset(found)


def import_closure(file: Path) -> set[Path]:
    """`file` and every file of the project that it imports, directly or not."""
    seen: set[Path] = set()
    todo = [file]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += direct_imports(current)
    return seen
