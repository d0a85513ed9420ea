"""Stage: figures of all methods and readers -> tables 1 to 5 as CSV, Markdown and LaTeX, the paper's beside."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.stage import run
from synctalk.params.read import entry_names
from synctalk.tables.external import load_external
from synctalk.tables.setting import load_setting
from synctalk.tables.table import (
    TABLE_CORPORA,
    caption,
    method_table,
    reader_table,
    study_caption,
    study_table,
)
from synctalk.tables.write import write_tables


def main(results: Path, readers: Path, study: Path, out: Path) -> None:
    """Read RESULTS/<method>/intervals.json, READERS/<reader>.json and STUDY, the summary of a perceptual study, and
    write table<number>.csv, .md and .tex to OUT. Before a study has been collected, STUDY holds no methods.
    """
    setting, external = load_setting(), load_external(results)
    methods = {
        name: json.loads((results / name / "intervals.json").read_text(encoding="utf-8"))
        for name in ("ground_truth", *entry_names("methods"))
    }
    methods |= external.intervals
    figures = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(readers.glob("*.json"))}
    rated = json.loads(study.read_text(encoding="utf-8"))
    tables = {
        **{n: (method_table(n, methods, external.rows), caption(n, setting, external.unscored)) for n in TABLE_CORPORA},
        2: (reader_table(figures), caption(2, setting)),
        5: (study_table(rated), study_caption(rated)),
    }
    write_tables(tables, out)


if __name__ == "__main__":
    run(main)
