"""The orderings that the paper states or its tables show (`paper/claims.csv`), and whether ours show them too.

A claim says that one method is better than another by a metric, or on a par with it. Ours is the difference of both on
the same clips, with its 95 % interval from a paired bootstrap over clips.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from synctalk.evaluation.bootstrap import Interval, PerClip, paired_difference
from synctalk.tables.paper_figures import METHOD_NAMES, paper_table
from synctalk.tables.table import STUDY_METRICS

LOWER_IS_BETTER = frozenset({"lse_d", "wer1", "wer2", "wer3", "wer", "paired_l1_distance"})
COLUMNS: Mapping[str, tuple[str, str | None, float]] = {
    "lse_c": ("lse_c", None, 1.0),
    "lse_d": ("lse_d", None, 1.0),
    "psnr": ("psnr_uint8", None, 1.0),
    "ssim": ("ssim", None, 1.0),
    "wer1": ("edits", "n_words", 100.0),
    "wer2": ("edits", "n_words", 100.0),
    "wer3": ("wer3_edits", "n_words", 100.0),
    "wer": ("edits", "n_words", 100.0),
    "paired_l1_distance": ("paired_l1", None, 1.0),
}
"""Metric of a claim -> column of the clips' scores, column of its units, factor. The paper's PSNR wraps modulo 256, so
that ours of that kind is compared."""
MEAN_OF_RATES = frozenset({"wer3"})
"""Rates that are averaged over clips (see `synctalk.evaluation.score.summarise`)."""
STUDY_QUESTIONS = frozenset(name.rsplit("_", 1)[0] for name in STUDY_METRICS)
MIN_CLIPS = 6
"""Clips (or ratings) without which there is no verdict. Five that all point one way happen by chance with probability
2 / 2^5 = 6 %, six with 3 %: no sign test over fewer reaches 95 %, and a bootstrap that seems to knows only the few
clips that it draws from."""
OF_ITSELF = (
    "The paper contradicts itself on its own system: LSE-C on LRS2 is 8.81 in table 3 and 9.29 in tables 1 and 4, so "
    "that the column *paper* takes the figure of the table which the claim is of."
)
OUR_NAMES = {row: name for name, row in METHOD_NAMES.items()}


class Verdict(StrEnum):
    """What our figures say of a claim."""

    HOLDS = "holds"
    NOT_SHOWN = "not shown"
    CONTRADICTED = "contradicted"
    TOO_FEW = "too few clips"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Claim:
    """One row of claims.csv; `better` and `worse` are the paper's names of methods or readers."""

    id: str
    where: str
    corpus: str
    metric: str
    better: str
    worse: str
    kind: Literal["better", "on_par"]
    note: str


@dataclass(frozen=True)
class Checked:
    """A claim and our figures.

    Attributes:
        claim: what the paper says.
        ours: by how much `better` is better than `worse`: above 0 whichever way the metric points; None where not run.
        paper: the same of the paper's own figures; None where it prints none.
        verdict: of our figures.
    """

    claim: Claim
    ours: Interval | None
    paper: float | None
    verdict: Verdict


def read_claims() -> list[Claim]:
    """The claims in the order of the file."""
    text = (resources.files("synctalk.tables") / "paper" / "claims.csv").read_text(encoding="utf-8")
    rows: list[Any] = list(csv.DictReader(text.splitlines()))
    return [Claim(**row) for row in rows]


def judge(ours: Interval | None, kind: str) -> Verdict:
    """`better` holds where the whole interval lies above 0 and is contradicted where all of it lies below; `on_par`
    holds where the interval reaches 0, and is contradicted elsewhere. Of fewer than `MIN_CLIPS` clips nothing is said.
    """
    if ours is None:
        return Verdict.NOT_RUN
    if ours.n < MIN_CLIPS:
        return Verdict.TOO_FEW
    if kind == "on_par":
        return Verdict.HOLDS if ours.low <= 0 <= ours.high else Verdict.CONTRADICTED
    if ours.low > 0:
        return Verdict.HOLDS
    return Verdict.CONTRADICTED if ours.high < 0 else Verdict.NOT_SHOWN


def per_clip(table: pd.DataFrame, metric: str) -> PerClip | None:
    """The figure of every clip that has it, from a table of scores or readings; None where no clip has."""
    column, units, factor = COLUMNS[metric]
    if column not in table:
        return None
    kept = table[table[column].notna() & (table[units] > 0)] if units else table[table[column].notna()]
    if kept.empty:
        return None
    numerator = factor * kept[column].to_numpy(np.float64)
    denominator = kept[units].to_numpy(np.float64) if units else np.ones(len(kept))
    if metric in MEAN_OF_RATES:
        numerator, denominator = numerator / denominator, np.ones(len(kept))
    return PerClip(kept["id"].tolist(), numerator, denominator)


def rated_difference(better: Interval, worse: Interval) -> Interval:
    """Of two means of the perceptual study: the half-widths of both add in quadrature.

    The same clips and people stand behind both, which a paired interval would make use of: this one is the wider.
    """
    difference = better.value - worse.value
    low = difference - math.hypot(better.value - better.low, worse.high - worse.value)
    high = difference + math.hypot(better.high - better.value, worse.value - worse.low)
    return Interval(difference, low, high, min(better.n, worse.n))


def our_difference(
    claim: Claim, load: Callable[[str, str], pd.DataFrame | None], study: Mapping[str, Any]
) -> Interval | None:
    """By how much our `better` beats our `worse`; None where one was not run.

    Args:
        claim: which.
        load: method or reader (ours) and corpus -> scores of the clips, None where there are none.
        study: summary of the perceptual study.
    """
    names = [OUR_NAMES.get(name, name) for name in (claim.better, claim.worse)]
    if claim.metric in STUDY_QUESTIONS:
        means = [study["methods"].get(name, {}).get(f"{claim.metric}_mean") for name in names]
        return rated_difference(*(Interval(**mean) for mean in means)) if all(means) else None
    tables = [load(name, claim.corpus) for name in names]
    sides = [None if table is None else per_clip(table, claim.metric) for table in tables]
    if sides[0] is None or sides[1] is None:
        return None
    difference = paired_difference(sides[0], sides[1])
    if difference is None or claim.metric not in LOWER_IS_BETTER:
        return difference
    return Interval(-difference.value, -difference.high, -difference.low, difference.n)


def paper_difference(claim: Claim) -> float | None:
    """By how much the paper's `better` beats its `worse`, from the table that the claim is of."""
    table, _, _ = claim.where.partition(",")
    if not table.startswith("table "):
        return None
    paper = paper_table(int(table.removeprefix("table ")))
    metric = f"{claim.metric}_mean" if claim.metric in STUDY_QUESTIONS else claim.metric
    corpus = claim.corpus if paper.has_corpora else None
    figures = [paper.figure(name, metric, corpus) for name in (claim.better, claim.worse)]
    if figures[0] is None or figures[1] is None:
        return None
    difference = figures[0] - figures[1]
    return -difference if claim.metric in LOWER_IS_BETTER else difference


def check_claims(
    load: Callable[[str, str], pd.DataFrame | None], study: Mapping[str, Any], claims: Iterable[Claim] | None = None
) -> list[Checked]:
    """Every claim with our figures; arguments as those of `our_difference`."""
    checked = []
    for claim in read_claims() if claims is None else claims:
        ours = our_difference(claim, load, study)
        checked.append(Checked(claim, ours, paper_difference(claim), judge(ours, claim.kind)))
    return checked


def load_scores(scores: Path, readings: Path, methods: Iterable[str]) -> Callable[[str, str], pd.DataFrame | None]:
    """Tables of clips by method or reader and corpus: SCORES/<method>/<corpus>.parquet, READINGS/<reader>.parquet.

    What lies there of a method that is none of `methods` is left from another run, and does not count.
    """
    known = set(methods)

    def load(name: str, corpus: str) -> pd.DataFrame | None:
        of_method = [scores / name / f"{corpus}.parquet"] if name in known else []
        files = [*of_method, readings / f"{name}.parquet"]
        return next((pd.read_parquet(file) for file in files if file.is_file()), None)

    return load


def tally(checked: Iterable[Checked]) -> dict[str, int]:
    """Claims by verdict."""
    counts = Counter(row.verdict for row in checked)
    return {verdict.value: counts[verdict] for verdict in Verdict}


def to_json(checked: Iterable[Checked], scale: str) -> dict[str, Any]:
    """The ledger: counts, and every claim with its figures."""
    rows = list(checked)
    return {
        "scale": scale,
        "counts": tally(rows),
        "claims": [
            {
                **vars(row.claim),
                "verdict": row.verdict.value,
                "ours": None if row.ours is None else vars(row.ours),
                "paper": None if row.paper is None else round(row.paper, 4),
            }
            for row in rows
        ],
    }


def to_page(checked: Iterable[Checked], about: str) -> str:
    """The ledger as Markdown."""
    rows = list(checked)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in tally(rows).items())
    lines = [
        f"# The paper's orderings, and ours\n\n{about}\n\n{len(rows)} claims: {counts}.",
        "\n*Ours* says by how much the better method is better, with its 95 % interval from a paired bootstrap over "
        "clips (above 0 is better, whichever way the metric points), and the number of clips. `psnr` is of the "
        "wrapping kind that the paper has. A claim holds where the whole interval lies above 0, is contradicted where "
        "all of it lies below, and is not shown between; *on a par* holds where the interval reaches 0. Over fewer "
        f"than {MIN_CLIPS} clips there is no verdict: no sign test over so few reaches 95 %. {OF_ITSELF}\n",
        "| claim | where | corpus | metric | better | worse | ours | clips | paper | verdict |",
        "|---|---|---|---|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        claim, ours = row.claim, row.ours
        figure = "–" if ours is None else f"{ours.value:+.3g} ({ours.low:+.3g} to {ours.high:+.3g})"
        relation = f"{claim.worse}, on a par" if claim.kind == "on_par" else claim.worse
        paper = "–" if row.paper is None else f"{row.paper:+.4g}"
        lines.append(
            f"| {claim.id} | {claim.where} | {claim.corpus} | {claim.metric} | {claim.better} | {relation} | "
            f"{figure} | {ours.n if ours else '–'} | {paper} | {row.verdict} |"
        )
    return "\n".join(lines) + "\n"
