"""Stage: the sources -> a listing for each script of what it imports, by digest: the dependency of its stages.

DVC does not follow imports. A stage that depends on the listing of its script runs again when code that it imports has
changed, whatever package that is in, and does not when a comment, a docstring or the layout has.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.stage import run
from synctalk.atomic import write_json
from synctalk.runtime.fingerprints import fingerprint

SCRIPTS = "pipeline"
INFRASTRUCTURE = frozenset(
    Path(name)
    for name in (
        "pipeline/stage.py",
        "synctalk/__init__.py",
        "synctalk/errors.py",
        "synctalk/params/read.py",
        "synctalk/params/section.py",
        "synctalk/runtime/mapping.py",
        "synctalk/runtime/progress.py",
        "synctalk/runtime/ray_tasks.py",
        "synctalk/runtime/scratch.py",
        "synctalk/runtime/workers.py",
    )
)
"""How work is run and how it fails: changes nothing about what comes out, so that no stage depends on it."""


def main(out: Path) -> None:
    """Write OUT/<script>.json for every script of pipeline/, and say what is not as it was listed there before."""
    scripts = {script for script in Path(SCRIPTS).glob("*.py") if script.name != "__init__.py"} - INFRASTRUCTURE
    out.mkdir(parents=True, exist_ok=True)
    for gone in set(out.iterdir()) - {out / f"{script.stem}.json" for script in scripts}:
        gone.unlink()
    changed: dict[str, list[str]] = {}
    for script in sorted(scripts):
        path = out / f"{script.stem}.json"
        found = listing(Path(), script)
        if path.exists():
            listed = json.loads(path.read_text(encoding="utf-8"))
            for name in {name for name, _ in listed.items() ^ found.items()}:
                changed.setdefault(name, []).append(script.stem)
        write_json(path, found)
    for name, users in sorted(changed.items()):
        print(f"{name} is not what it was, for {', '.join(users)}")


def listing(root: Path, script: Path) -> dict[str, str]:
    """Name -> digest of the files of the project that `script` (relative to `root`) works with: itself, the modules
    that it imports, directly or not, and the pages, scripts and figures that lie in their packages.
    """
    modules = import_closure(root, script) - INFRASTRUCTURE
    packages = {module.parent for module in modules} - {script.parent}
    digests = {str(module): code_digest((root / module).read_text(encoding="utf-8")) for module in modules}
    for package in packages:
        for file in _package_data(root / package):
            digests[str(file.relative_to(root))] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return dict(sorted(digests.items()))


def import_closure(root: Path, script: Path) -> set[Path]:
    """`script` and every file of the project that it imports, directly or not, relative to `root`."""
    seen: set[Path] = set()
    todo = [script]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += direct_imports(root, current)
    return seen


def direct_imports(root: Path, file: Path) -> set[Path]:
    """Files of the project that `file` imports, anywhere in it, their packages included, relative to `root`."""
    names = imported_names((root / file).read_text(encoding="utf-8"))
    return {module for name in names if (module := _module_file(root, name.split(".")))}


@cache
def imported_names(source: str) -> frozenset[str]:
    """Dotted names that may be modules which `source` imports: with `a.b.c` also `a.b` and `a`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name.rsplit(".", cut)[0] for name in names for cut in range(name.count(".") + 1))


def _module_file(root: Path, parts: list[str]) -> Path | None:
    """The project's file of a module; None where it is not ours."""
    base = Path(*parts)
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in candidates if (root / file).is_file()), None)


def _package_data(package: Path) -> Iterator[Path]:
    """What lies in a package beside its modules, in folders that are no packages too."""
    for entry in package.iterdir():
        if entry.is_dir() and entry.name != "__pycache__" and not (entry / "__init__.py").exists():
            yield from _package_data(entry)
        elif entry.is_file() and entry.suffix not in (".py", ".pyc", ".typed"):
            yield entry


@cache
def code_digest(source: str) -> str:
    """Digest of what Python would run: not of comments, docstrings, strings that stand alone, or the layout."""
    return fingerprint(_said(ast.parse(source)))


def _said(node: Any) -> Any:  # noqa: ANN401  # a node of the tree, a list of them or a constant
    """A node as nested lists; empty fields are left out, since each Python release adds some of its own."""
    if isinstance(node, ast.AST):
        fields = [(name, _said(value)) for name, value in ast.iter_fields(node)]
        return [type(node).__name__, [field for field in fields if field[1] not in ("None", [])]]
    if isinstance(node, list):
        return [_said(one) for one in node if not _is_lone_string(one)]
    return repr(node)


def _is_lone_string(node: Any) -> bool:  # noqa: ANN401  # a node or a constant
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


if __name__ == "__main__":
    run(main)
