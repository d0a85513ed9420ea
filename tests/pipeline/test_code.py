"""The listing of code that a stage depends on: what is in it, and which edits change it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from root import ROOT

from pipeline.code import INFRASTRUCTURE, code_digest, import_closure, listing, main

SOURCE = '''"""What it does."""
import numpy as np


def mouth(frames: int, *, half: bool = False) -> float:
    """Its docstring."""
    return np.sqrt(frames) / 2 if half else 1.0


WIDTH = 96
"""Its unit."""
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A script that imports a module, which imports another inside a function; a page beside it, and a stranger."""
    files = {
        "pipeline/__init__.py": "",
        "pipeline/draw.py": "from synctalk.tables import page\n",
        "pipeline/other.py": "import synctalk.media.read\n",
        "synctalk/__init__.py": "",
        "synctalk/errors.py": "NAME = 1\n",
        "synctalk/tables/__init__.py": "",
        "synctalk/tables/page.py": "def f():\n    from synctalk.media.write import g\n    import synctalk.errors\n",
        "synctalk/tables/page.css": "a {}",
        "synctalk/tables/paper/table1.csv": "1,2",
        "synctalk/tables/unused.py": "",
        "synctalk/media/__init__.py": "",
        "synctalk/media/read.py": "",
        "synctalk/media/write.py": "g = 1\n",
        "synctalk/py.typed": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_listing_has_what_is_imported_anywhere_and_the_pages_beside_it(tree: Path) -> None:
    assert list(listing(tree, Path("pipeline/draw.py"))) == [
        "pipeline/draw.py",
        "synctalk/media/__init__.py",
        "synctalk/media/write.py",
        "synctalk/tables/__init__.py",
        "synctalk/tables/page.css",
        "synctalk/tables/page.py",
        "synctalk/tables/paper/table1.csv",
    ]


@pytest.mark.parametrize("name", ["synctalk/tables/page.css", "synctalk/tables/paper/table1.csv"])
def test_a_page_that_changes_changes_the_listings_of_its_package(tree: Path, name: str) -> None:
    before = {script: listing(tree, Path(script)) for script in ("pipeline/draw.py", "pipeline/other.py")}
    (tree / name).write_text("b")
    assert listing(tree, Path("pipeline/draw.py"))[name] != before["pipeline/draw.py"][name]
    assert listing(tree, Path("pipeline/other.py")) == before["pipeline/other.py"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""What it does."""\n', ""),
        ('    """Its docstring."""\n', '    """Another."""\n    # and why\n'),
        ('"""Its unit."""\n', ""),
        ("1.0\n\n\n", "1.0\n"),
        ("(frames: int, *, half: bool = False)", "(\n    frames: int,\n    *,\n    half: bool = False,\n)"),
    ],
)
def test_comments_docstrings_and_layout_change_no_digest(old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert code_digest(SOURCE.replace(old, new)) == code_digest(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("96", "97"), ("96", "96.0"), ("96", "'96'"), ("False", "None"), ("/ 2", "// 2"), ("if half", "if not half"),
     ("numpy", "torch"), (", *,", ","), ("frames: int", "frames: float"), ("WIDTH", "HEIGHT")],
)  # fmt: skip
def test_whatever_python_would_run_otherwise_changes_it(old: str, new: str) -> None:
    assert old in SOURCE
    assert code_digest(SOURCE.replace(old, new)) != code_digest(SOURCE)


def test_a_digest_is_the_same_in_every_python() -> None:
    """Computed once: a release of Python that reads the tree otherwise would run every stage again."""
    assert code_digest(SOURCE) == "943db332db4f0534"


def test_a_second_listing_says_what_has_changed(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree)
    main(Path("code"))
    (tree / "synctalk/tables/page.py").write_text("import synctalk.tables.unused\n")
    (tree / "pipeline/other.py").unlink()
    main(Path("code"))
    assert [path.name for path in Path("code").iterdir()] == ["draw.json"]
    assert capsys.readouterr().out == (
        "synctalk/media/__init__.py is not what it was, for draw\n"
        "synctalk/media/write.py is not what it was, for draw\n"
        "synctalk/tables/page.py is not what it was, for draw\n"
        "synctalk/tables/unused.py is not what it was, for draw\n"
    )


def test_every_script_has_a_listing_and_what_is_left_out_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    main(tmp_path)
    scripts = {path.stem for path in Path("pipeline").glob("*.py")} - {"__init__", "stage"}
    assert {path.stem for path in tmp_path.iterdir()} == scripts
    train = json.loads((tmp_path / "train.json").read_text())
    assert {"pipeline/train.py", "synctalk/losses/contrastive.py", "synctalk/models/generator.py"} <= set(train)
    assert not any(name.startswith(("synctalk/tables", "synctalk/study")) for name in train)
    assert all((ROOT / path).is_file() for path in INFRASTRUCTURE)
    assert Path("synctalk/runtime/scratch.py") in import_closure(ROOT, Path("pipeline/train.py"))
