"""Tables as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from synctalk.tables.table import Cell, to_csv, to_markdown
from synctalk.tables.tex import to_tex


def write_tables(tables: Mapping[int, tuple[Sequence[Cell], str]], out: Path) -> None:
    """Write table<number>.csv, .md and .tex to the folder `out`; `tables` is number -> cells and caption."""
    out.mkdir(parents=True, exist_ok=True)
    for number, (cells, about) in tables.items():
        (out / f"table{number}.csv").write_text(to_csv(cells), encoding="utf-8")
        (out / f"table{number}.md").write_text(to_markdown(cells, about), encoding="utf-8")
        tex = to_tex(cells, about.removeprefix(f"Table {number}. "), f"tab:synctalklip-{number}")
        (out / f"table{number}.tex").write_text(tex, encoding="utf-8")
