"""Several runs of one method, which differ in the seed of the generator alone, as one: clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synctalk.errors import UserError
from synctalk.evaluation.scores import ClipScore

KEPT_OUT = frozenset({"id", "n_frames", "offset", "reference", "hypothesis", "wer3_hypothesis", "wer3_free_hypothesis"})
"""What is not averaged: what a clip is, texts, and the best shift, since a mean of shifts is none of them."""


def mean_over_seeds(runs: Sequence[Path]) -> list[ClipScore]:
    """Every figure of a clip as its mean over runs, so that an interval over clips resamples a clip with all its runs.

    Texts and the best shift are left out. A figure that a clip lacks in one of the runs, it lacks here.

    Args:
        runs: tables of scores of one method on one corpus, a run each.

    Raises:
        UserError: a table is missing, or of other clips than the first.
    """
    tables = []
    for path in runs:
        if not path.is_file():
            raise UserError(path, "is not there", "run all methods of every run, `dvc repro`")
        tables.append(pd.read_parquet(path))
    clips = tables[0][["id", "n_frames"]]
    for path, table in zip(runs, tables, strict=True):
        if not table[["id", "n_frames"]].equals(clips):
            raise UserError(path, f"is of other clips than {runs[0]}", "name runs on the same corpora")
    means = {
        field.name: np.mean([table[field.name].to_numpy(np.float64) for table in tables], axis=0)
        for field in fields(ClipScore)
        if field.name not in KEPT_OUT
    }
    blank: dict[str, Any] = dict.fromkeys(field.name for field in fields(ClipScore))
    return [
        ClipScore(
            **blank
            | {name: None if np.isnan(values[index]) else float(values[index]) for name, values in means.items()}
            | {"id": clip, "n_frames": n_frames}
        )
        for index, (clip, n_frames) in enumerate(clips.itertuples(index=False))
    ]
