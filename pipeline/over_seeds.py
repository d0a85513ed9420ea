"""Tables 1, 3 and 4 and the claims over several seeds of the generators: no stage, for runs are its input.

mkdir runs && dvc repro && cp -r data/scores runs/1
dvc exp run -S generator_seed=2 && cp -r data/scores runs/2
python -m pipeline.over_seeds runs/1 runs/2 --out results/gpu
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from pipeline.stage import run
from synctalk.errors import UserError
from synctalk.evaluation.bootstrap import Interval
from synctalk.evaluation.params import EvaluateParams
from synctalk.evaluation.scores import ClipScore, summarise
from synctalk.evaluation.seeds import mean_over_seeds
from synctalk.params.read import entry_names, load
from synctalk.runtime.jobs import write_json
from synctalk.tables.claims import check_claims, to_json, to_page
from synctalk.tables.setting import load_setting
from synctalk.tables.table import TABLE_CORPORA, caption, method_table
from synctalk.tables.write import write_tables

Figures = Mapping[str, Interval]


def write_spread(path: Path, single: Mapping[tuple[str, str], list[Figures]]) -> None:
    """Write the value of every figure in every run: method, corpus, metric, run1, run2, ..."""
    n_runs = max(map(len, single.values()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "corpus", "metric", *(f"run{number + 1}" for number in range(n_runs))])
        for (method, corpus), runs in single.items():
            for metric in runs[0]:
                writer.writerow([method, corpus, metric, *(f"{figures[metric].value:.4f}" for figures in runs)])


def main(
    runs: Annotated[list[Path], typer.Argument(help="Folders of scores, as data/scores of one run each.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
) -> None:
    """Write OUT/tables, OUT/claims.json, OUT/claims.md and OUT/seeds.csv from RUNS: generators of different seeds,
    scored on the same clips by the same judges. params.yaml is that of the runs. Other people's videos (`external`)
    were made by no seed of ours, and have no rows here: `dvc repro` writes theirs.
    """
    if len(runs) < 2:
        raise UserError("RUNS", "is a single run", "name two or more; for one the stages write the tables")
    setting = replace(load_setting(), n_seeds=len(runs))
    wer_names = load("evaluate", EvaluateParams).wer_names
    merged: dict[tuple[str, str], list[ClipScore]] = {}
    single: dict[tuple[str, str], list[Figures]] = {}
    for name in ("ground_truth", *entry_names("methods")):
        for corpus, wer_name in wer_names.items():
            paths = [folder / name / f"{corpus}.parquet" for folder in runs]
            merged[name, corpus] = mean_over_seeds(paths)
            single[name, corpus] = [summarise(mean_over_seeds([path]), wer_name) for path in paths]
    intervals: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (name, corpus), scores in merged.items():
        figures = summarise(scores, wer_names[corpus])
        intervals.setdefault(name, {})[corpus] = {metric: vars(figure) for metric, figure in figures.items()}
    write_tables({n: (method_table(n, intervals), caption(n, setting)) for n in TABLE_CORPORA}, out / "tables")
    frames = {key: pd.DataFrame([asdict(score) for score in scores]) for key, scores in merged.items()}
    checked = check_claims(lambda name, corpus: frames.get((name, corpus)), {"methods": {}})
    checked = [row for row in checked if row.ours is not None]
    write_json(out / "claims.json", to_json(checked, setting.scale))
    (out / "claims.md").write_text(to_page(checked, f"Of {setting.words}."), encoding="utf-8")
    write_spread(out / "seeds.csv", single)


if __name__ == "__main__":
    run(main)
