"""After `dvc repro`: print the tables, where the report lies, and how long each stage took."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from pipeline.stage import TIMINGS, run

TABLES = Path("results/tables")
REPORT = Path("report/index.html")


def last_timings() -> dict[str, dict[str, float]]:
    """The last record of each stage that ran on this machine: wall seconds and peak memory in MB."""
    last: dict[str, dict[str, float]] = {}
    if TIMINGS.exists():
        for line in TIMINGS.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            last.pop(record["stage"], None)
            last[record["stage"]] = record
    return last


def main() -> None:
    """Print the tables, the path of the report and the times."""
    for table in sorted(TABLES.glob("*.md")):
        typer.echo(table.read_text(encoding="utf-8"))
    timings = last_timings()
    if timings:
        typer.echo("stage                     wall s   peak MB   (last run of each stage here)")
        for stage, record in timings.items():
            typer.echo(f"{stage:<24} {record['wall_s']:>8.1f} {record['peak_mb']:>9.0f}")
        typer.echo(f"{'all':<24} {sum(record['wall_s'] for record in timings.values()):>8.1f}")
    typer.echo(f"\nmetrics of the variant: metrics.json (dvc metrics show)\nreport: {REPORT.resolve()}")


if __name__ == "__main__":
    run(main)
