"""Stage: figures of all methods and readers -> tables 1 to 5 as CSV, Markdown and LaTeX, the paper's beside."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.tables.load import load_tables
from synctalk.tables.write import write_tables


def main(results: Path, readers: Path, study: Path, out: Path) -> None:
    """Read RESULTS/<method>/intervals.json, READERS/<reader>.json and STUDY, the summary of a perceptual study, and
    write table<number>.csv, .md and .tex to OUT.
    """
    write_tables(load_tables(results, readers, study), out)


if __name__ == "__main__":
    run(main)
