"""What the stages left in files, as the report draws it: learning curves, clusters, corpora."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synctalk.report.page import Bar, bars

CURVE_POINTS = 200
"""Points of a drawn curve; a longer one is drawn by means of its stretches."""


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Attributes:
        stage: that wrote it.
        name: of the scalar.
        last: its last value.
        low: the value at the foot of the chart.
        high: the value at its top; the largest 2 % lie above and are drawn there.
        steps: the last step.
        points: of the SVG polyline in a 100 x 30 box.
    """

    stage: str
    name: str
    last: float
    low: float
    high: float
    steps: int
    points: str


@dataclass(frozen=True)
class CorpusView:
    """A corpus: its metrics, and the charts of what was kept after each step, of offsets and of face sizes."""

    name: str
    figures: Mapping[str, Any]
    steps: list[Bar]
    offsets: list[Bar]
    face_sizes: list[Bar]


def read_curves(stage: str, path: Path) -> list[Curve]:
    """The curves of a CSV with a column `step`, one a scalar; those of fewer than two values are left out."""
    table = pd.read_csv(path)
    curves = []
    for name in table.columns.drop("step", errors="ignore"):
        values = table[["step", name]].dropna()
        if len(values) < 2:
            continue
        steps, last = int(values["step"].max()), float(values[name].iloc[-1])
        if len(values) > CURVE_POINTS:
            values = values.groupby(np.arange(len(values)) * CURVE_POINTS // len(values)).mean()
        low, high = float(values[name].min()), float(values[name].quantile(0.98))
        x = values["step"] / max(1, steps) * 100
        y = 29 - (values[name].clip(upper=high) - low) / max(high - low, 1e-9) * 28
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        curves.append(Curve(stage, str(name), last, low, high, steps, points))
    return curves


def read_clusters(folder: Path) -> dict[str, list[tuple[str, float]]]:
    """Figures of the clusterings in FOLDER/<iteration>.json, name -> (iteration, value) in the iterations' order."""
    figures: dict[str, list[tuple[str, float]]] = {}
    for path in sorted(folder.glob("*.json")):
        for name, value in load_json(path).items():
            if isinstance(value, int | float):
                figures.setdefault(name, []).append((path.stem, float(value)))
    return figures


def read_bars(path: Path) -> list[Bar]:
    """The bars of a two-column table of labels and counts, as `dvc plots` draws it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(label, int(count)) for label, count in list(csv.reader(file))[1:]]
    return bars(rows)


def corpus_view(metrics: Path) -> CorpusView:
    """A corpus from its metrics, results/corpora/<name>.json, and the tables in the folder beside them."""
    plots = metrics.with_suffix("")
    return CorpusView(
        name=metrics.stem,
        figures=load_json(metrics),
        steps=read_bars(plots / "funnel.csv"),
        offsets=read_bars(plots / "offsets.csv"),
        face_sizes=read_bars(plots / "face_sizes.csv"),
    )


def load_json(path: Path) -> dict[str, Any]:
    """A JSON file of the results."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
