"""Stage: figures of all methods and readers -> tables 1, 2 and 4 as CSV and Markdown, the paper's figures beside."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.stage import run
from synctalk.params import entry_names
from synctalk.tables.setting import load_setting
from synctalk.tables.table import caption, method_table, reader_table, to_csv, to_markdown


def main(results: Path, readers: Path, out: Path) -> None:
    """Read RESULTS/<method>/intervals.json and READERS/<reader>.json and write table<number>.csv and .md to OUT."""
    setting = load_setting()
    methods = {
        name: json.loads((results / name / "intervals.json").read_text(encoding="utf-8"))
        for name in ("ground_truth", *entry_names("methods"))
    }
    figures = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(readers.glob("*.json"))}
    out.mkdir(parents=True, exist_ok=True)
    for number, cells in {1: method_table(1, methods), 2: reader_table(figures), 4: method_table(4, methods)}.items():
        (out / f"table{number}.csv").write_text(to_csv(cells), encoding="utf-8")
        (out / f"table{number}.md").write_text(to_markdown(cells, caption(number, setting)), encoding="utf-8")


if __name__ == "__main__":
    run(main)
