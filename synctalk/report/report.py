"""The report: one HTML file with everything in it, which opens offline in any browser.

Figures with the paper's beside, sanity checks of the judges, clips of every method side by side, the figures of every
clip, keep-rates, offsets, clusters and learning curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synctalk.params.section import section
from synctalk.report.clips import ClipView, clip_data
from synctalk.report.page import Bar, clip_row, offset_bars, page_data, render_page
from synctalk.tables.figures import FIGURES
from synctalk.tables.table import Cell, missing

TRUTH = "ground_truth"


SHOWN_AT_FIRST = 4
"""Takes that the gallery shows before anyone chooses: the truth, the variant, and the next methods."""


@section
class ReportParams:
    """The report page (params.yaml: `report`)."""

    clips_per_corpus: int


@dataclass(frozen=True)
class SyncView:
    """Offsets that SyncNet found for one method on one corpus, and how many windows it saw."""

    corpus: str
    method: str
    offsets: list[Bar]
    windows: str


def sync_view(corpus: str, method: str, scores: pd.DataFrame) -> SyncView:
    """Offsets and windows of a table of scores."""
    windows = scores["n_windows"].dropna()
    counted = (
        f"{len(windows)} clips, {int(windows.sum())} windows, {int(windows.min())} to {int(windows.max())} a clip"
        if len(windows)
        else ""
    )
    return SyncView(corpus, method, offset_bars([int(offset) for offset in scores["offset"].dropna()]), counted)


def table_rows(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Cells of a table as rows for the page: corpus, method, and per metric ours, interval and paper."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in cells:
        row = rows.setdefault((one.corpus, one.method), {"corpus": one.corpus, "method": one.method, "cells": []})
        decimals = FIGURES[one.metric].decimals
        row["cells"].append(
            {
                "ours": missing(one) if one.ours is None else f"{one.ours:.{decimals}f}",
                "ran": one.ours is not None,
                "interval": "" if one.ours is None else f"{one.low:.{decimals}f} – {one.high:.{decimals}f}",
                "paper": "" if one.paper is None else f"{one.paper:g}",
                "heading": FIGURES[one.metric].heading,
            }
        )
    return list(rows.values())


def render(
    *,
    clips: Sequence[ClipView],
    scores: Mapping[tuple[str, str], pd.DataFrame],
    variant: str,
    **content: Any,  # noqa: ANN401  # the template's variables
) -> str:
    """The page.

    Args:
        clips: of the gallery.
        scores: of every clip, by corpus and method.
        variant: shown beside the truth at first.
        content: further variables of report.html.
    """
    methods = list(dict.fromkeys(method for _, method in scores))
    first = [name for name in dict.fromkeys((TRUTH, variant, *methods)) if name in methods]
    rows = [
        clip_row({str(name): value for name, value in row.items()}, corpus, method)
        for (corpus, method), table in scores.items()
        for row in table.astype(object).to_dict("records")
    ]
    return render_page(
        "report.html",
        variant=variant,
        data=page_data([clip_data(clip) for clip in clips], rows, methods, first[:SHOWN_AT_FIRST]),
        sync=[sync_view(corpus, method, table) for (corpus, method), table in scores.items()],
        n_clips=len(clips),
        **content,
    )
