"""Tables 1, 2, 4 and 5 of the paper: ours with its 95 % interval, the paper's figure and the difference.

Rows that the paper has and this project has not run are kept and say so. A table never mixes scales: its caption
names the one it is of.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from synctalk.tables.paper_figures import METHOD_NAMES, PaperTable, paper_table
from synctalk.tables.setting import TEST_CORPORA, Setting

Intervals = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Corpus -> metric -> value, low, high, n: the content of a method's intervals.json."""

METRICS = ("lse_c", "lse_d", "psnr", "psnr_uint8", "ssim")
WER_1 = {"lrs2": "wer1", "lrs3": "wer2"}
READERS_2 = ("av_hubert", "av_syncnet", "av_syncnet_conv", "conformer")
STUDY_METRICS = tuple(
    f"{question}_{figure}" for question in ("intelligibility", "sync", "authenticity") for figure in ("mean", "std")
)
NOT_RUN = "not run"

HEADINGS = {
    "lse_c": "LSE-C ↑",
    "lse_d": "LSE-D ↓",
    "psnr": "PSNR ↑",
    "psnr_uint8": "PSNR (uint8) ↑",
    "ssim": "SSIM ↑",
    "wer1": "WER1 % ↓",
    "wer2": "WER2 % ↓",
    "wer3": "WER3 % ↓",
    "wer": "WER % ↓",
    "intelligibility_mean": "INTL ↑",
    "intelligibility_std": "INTL SD",
    "sync_mean": "SYNC ↑",
    "sync_std": "SYNC SD",
    "authenticity_mean": "AUTH ↑",
    "authenticity_std": "AUTH SD",
}


@dataclass(frozen=True)
class Cell:
    """One figure of a table. `ours` is None where the method or the metric was not run; `paper` where it prints
    none.
    """

    corpus: str
    method: str
    metric: str
    ours: float | None
    low: float | None
    high: float | None
    n: int | None
    paper: float | None

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.ours is None or self.paper is None else self.ours - self.paper


def _paper_metric(metric: str) -> str:
    """The paper's PSNR is the wrapping one, so it stands beside ours of that kind only."""
    return {"psnr_uint8": "psnr", "psnr": ""}.get(metric, metric)


def cell(
    corpus: str, method: str, metric: str, ours: Mapping[str, Mapping[str, float]] | None, paper: PaperTable, row: str
) -> Cell:
    """The figure of `metric` from a method's intervals of one corpus, beside the paper's row of that name."""
    found = (ours or {}).get(metric)
    printed = paper.figure(row, _paper_metric(metric), corpus if "corpus" in paper.rows[0] else None)
    if found is None:
        return Cell(corpus, method, metric, None, None, None, None, printed)
    return Cell(corpus, method, metric, found["value"], found["low"], found["high"], int(found["n"]), printed)


def method_table(number: int, results: Mapping[str, Intervals]) -> list[Cell]:
    """Tables 1 and 4: every row of the paper, ours where `results` (method -> intervals) has it."""
    paper = paper_table(number)
    ours_of = {row: name for name, row in METHOD_NAMES.items()}
    cells = []
    for corpus in TEST_CORPORA:
        metrics = (*METRICS, WER_1[corpus] if number == 1 else "wer3")
        for row in paper.methods(corpus):
            intervals = results.get(ours_of.get(row, ""), {}).get(corpus)
            cells += [cell(corpus, row, metric, intervals, paper, row) for metric in metrics]
    return cells


def reader_table(readers: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Cell]:
    """Table 2: word error rate of each lip reader on the LRS2 test set; `readers` is reader -> metric -> interval."""
    paper = paper_table(2)
    return [cell("lrs2", name, "wer", readers.get(name), paper, name) for name in READERS_2]


def study_table(summary: Mapping[str, Any]) -> list[Cell]:
    """Table 5: the paper's rows, then whatever else was rated; `summary` is that of `synctalk study collect`."""
    paper, rated = paper_table(5), summary["methods"]
    rows = {METHOD_NAMES.get(name, name): name for name in rated}
    names = [*paper.methods(), *(row for row in rows if row not in paper.methods())]
    return [
        cell("study", row, metric, rated.get(rows.get(row, "")), paper, row)
        for row in names
        for metric in STUDY_METRICS
    ]


def study_caption(summary: Mapping[str, Any]) -> str:
    """What table 5 is of: not the setting of params.yaml but that of the videos which were rated."""
    title = "Table 5. Perceptual study, scores from 1 to 5: intelligibility, synchronisation, authenticity."
    if not summary["methods"]:
        return f"{title} No study has been collected here (`synctalk study build`, `synctalk study collect`)."
    videos = "videos that the user brought"
    if summary["scale"] is not None:
        corpora = "synthetic look-alikes of LRS2 and LRS3" if summary["synthetic"] else "LRS2 and LRS3"
        videos = f"scale `{summary['scale']}`, {corpora}"
    raters = "1 rater" if summary["overlap"] == 1 else f"{summary['overlap']} raters"
    parts = [
        f"{title[:-1]}; {videos}.",
        f"Ratings: {summary['n_ratings']}, videos: {summary['n_videos']}, raters: {summary['n_raters']};"
        f" each video was given to {raters}.",
        "Brackets: 95 % bootstrap interval over raters and over videos, the wider. SD: of the ratings.",
    ]
    agreed = [f"{name} {alpha:.2f}" for name, alpha in summary["agreement"].items() if alpha is not None]
    if agreed:
        parts.append(f"Krippendorff's α (ordinal): {', '.join(agreed)}.")
    return " ".join(parts)


def to_csv(cells: Sequence[Cell]) -> str:
    """One line a figure: corpus, method, metric, ours, low, high, n, paper, difference."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [field.name for field in fields(Cell)]
    writer.writerow([*names, "difference"])
    for one in cells:
        values = [*(getattr(one, name) for name in names), one.difference]
        writer.writerow(["" if v is None else f"{v:.4f}" if isinstance(v, float) else v for v in values])
    return out.getvalue()


def digits(metric: str) -> int:
    """Decimals that a figure is printed with."""
    return 3 if metric == "ssim" else 2


def missing(one: Cell) -> str:
    """What stands in place of our figure: what the paper has and we have not run, or what does not apply."""
    return "–" if one.paper is None else NOT_RUN


def show(one: Cell) -> str:
    """A figure as the Markdown tables print it: `8.12 [7.9, 8.3] (paper 9.29)`."""
    printed = "" if one.paper is None else f" (paper {one.paper:g})"
    if one.ours is None:
        return f"{missing(one)}{printed}"
    places = digits(one.metric)
    return f"{one.ours:.{places}f} [{one.low:.{places}f}, {one.high:.{places}f}]{printed}"


def to_markdown(cells: Sequence[Cell], caption: str) -> str:
    """One block a corpus, one row a method, one column a metric."""
    lines = [caption, ""]
    for corpus in dict.fromkeys(one.corpus for one in cells):
        here = [one for one in cells if one.corpus == corpus]
        metrics = list(dict.fromkeys(one.metric for one in here))
        counts = {one.n for one in here if one.n}
        n_clips = f", n = {', '.join(map(str, sorted(counts)))} clips" if counts else ""
        lines += [f"**{corpus}**{n_clips}", ""]
        lines += ["| method | " + " | ".join(HEADINGS[metric] for metric in metrics) + " |"]
        lines += ["|---|" + "---:|" * len(metrics)]
        for method in dict.fromkeys(one.method for one in here):
            row = {one.metric: show(one) for one in here if one.method == method}
            lines += [f"| {method} | " + " | ".join(row[metric] for metric in metrics) + " |"]
        lines += [""]
    return "\n".join(lines)


TITLES = {
    1: "Quality, synchronisation and intelligibility",
    2: "Lip reading of AV-SyncNet on real video, LRS2 role",
    4: "Variants of SyncTalklip",
}


def caption(number: int, setting: Setting) -> str:
    """What a table is of, and what its figures can be compared with."""
    corpora = (
        "on synthetic look-alikes of LRS2 and LRS3, so that orderings and not values compare with the paper"
        if setting.synthetic
        else "on LRS2 and LRS3"
    )
    parts = [
        f"Table {number}. {TITLES[number]}; scale `{setting.scale}`, {corpora}.",
        "Brackets: 95 % bootstrap interval over clips.",
    ]
    if number != 2 and setting.common_start:
        parts.append("All methods start from one common generator (stage `start`).")
    if number != 2:
        parts.append("The paper's PSNR comes from code that subtracts bytes, which wrap: it stands at `PSNR (uint8)`.")
    return " ".join(parts)
