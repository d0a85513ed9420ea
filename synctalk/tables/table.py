"""Tables 1 to 5 of the paper: ours with its 95 % interval, the paper's figure and the difference.

Rows that the paper has and this project has not run are kept and say so. A table never mixes scales: its caption
names the one it is of.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from synctalk.tables.figures import FIGURES
from synctalk.tables.paper_figures import PaperTable, paper_row, paper_table
from synctalk.tables.setting import TEST_CORPORA, Setting

Intervals = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Corpus -> metric -> value, low, high, n: the content of a method's intervals.json."""

METRICS = ("lse_c", "lse_d", "psnr", "psnr_uint8", "ssim")
OF_PICTURES = ("psnr", "psnr_uint8", "ssim")
"""Metrics that compare with the truth, so that the truth has none."""
WER_1 = {"lrs2": "wer1", "lrs3": "wer2"}
WER_3 = ("wer3", "wer3_free")
METRICS_3 = ("lse_c", "psnr", "psnr_uint8", *WER_3)
TABLE_CORPORA = {1: TEST_CORPORA, 3: ("lrs2",), 4: TEST_CORPORA}
"""Corpora that the tables of methods are of."""
READERS_2 = ("av_hubert", "av_syncnet", "av_syncnet_conv", "conformer")
STUDY_METRICS = tuple(
    f"{question}_{figure}" for question in ("intelligibility", "sync", "authenticity") for figure in ("mean", "std")
)
STUDY = "study"
"""What stands for a corpus in table 5."""
NOT_RUN = "not run"
WHY_TWO_PSNRS = (
    "Published code subtracts bytes, which wrap around at 256, so that its PSNR of unlike faces is near 28 dB whatever "
    "they show; the PSNR in floating point measures them."
)
BESIDE = "In parentheses the paper's figure, and ours minus it."


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
    printed = paper.figure(row, _paper_metric(metric), corpus if paper.has_corpora else None)
    if found is None:
        return Cell(corpus, method, metric, None, None, None, None, printed)
    return Cell(corpus, method, metric, found["value"], found["low"], found["high"], int(found["n"]), printed)


def table_metrics(number: int, corpus: str) -> tuple[str, ...]:
    """Columns of tables 1, 3 and 4 on one corpus."""
    return METRICS_3 if number == 3 else (*METRICS, WER_1[corpus]) if number == 1 else (*METRICS, *WER_3)


def table_rows_of(number: int, corpus: str, methods: Iterable[str], external: Iterable[str]) -> list[str]:
    """Rows of tables 1, 3 and 4: the paper's, then in tables 1 and 4 the external methods, and whatever is in
    none of the paper's tables.
    """
    rows = paper_table(number).methods(corpus if paper_table(number).has_corpora else None)
    if number == 3:
        return rows
    of_paper = {row for table in TABLE_CORPORA for row in paper_table(table).methods()}
    own = [name for name in map(paper_row, methods) if name not in of_paper]
    return list(dict.fromkeys([*rows, *external, *own]))


def method_table(number: int, results: Mapping[str, Intervals], external: Iterable[str] = ()) -> list[Cell]:
    """Tables 1, 3 and 4: every row of the paper, then methods that it does not have.

    Args:
        number: of the table.
        results: method -> intervals, empty where it was not run.
        external: those of the methods that have a row in tables 1 and 4 whether the paper has one or not.
    """
    paper, ours_of, outside = paper_table(number), {paper_row(name): name for name in results}, list(external)
    return [
        cell(corpus, row, metric, results.get(ours_of.get(row, ""), {}).get(corpus), paper, row)
        for corpus in TABLE_CORPORA[number]
        for row in table_rows_of(number, corpus, [name for name in results if name not in outside], outside)
        for metric in table_metrics(number, corpus)
    ]


def reader_table(readers: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Cell]:
    """Table 2: word error rate of each lip reader on the LRS2 test set; `readers` is reader -> metric -> interval."""
    paper = paper_table(2)
    return [cell("lrs2", name, "wer", readers.get(name), paper, name) for name in READERS_2]


def study_table(summary: Mapping[str, Any]) -> list[Cell]:
    """Table 5: the paper's rows, then whatever else was rated; `summary` is that of `synctalk study collect`."""
    paper, rated = paper_table(5), summary["methods"]
    rows = {paper_row(name): name for name in rated}
    names = [*paper.methods(), *(row for row in rows if row not in paper.methods())]
    return [
        cell(STUDY, row, metric, rated.get(rows.get(row, "")), paper, row) for row in names for metric in STUDY_METRICS
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
        f"Brackets: 95 % bootstrap interval over raters and over the n videos, the wider. {BESIDE} SD: of the ratings.",
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


def missing(one: Cell) -> str:
    """What stands in place of our figure: what does not apply, or was not run."""
    no_pictures = one.method == "ground_truth" and one.metric in OF_PICTURES
    too_few_ratings = one.corpus == STUDY and one.paper is None
    return "–" if no_pictures or too_few_ratings else NOT_RUN


def signed(value: float, decimals: int) -> str:
    """A difference with its sign."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def show_ours(one: Cell) -> str:
    """Our figure with its interval: `8.12 [7.90, 8.30]`."""
    if one.ours is None:
        return missing(one)
    decimals = FIGURES[one.metric].decimals
    return f"{one.ours:.{decimals}f} [{one.low:.{decimals}f}, {one.high:.{decimals}f}]"


def show_paper(one: Cell) -> str:
    """The paper's figure and ours minus it: `9.29, −1.17`; empty where it prints none."""
    if one.paper is None:
        return ""
    if one.difference is None:
        return f"{one.paper:g}"
    return f"{one.paper:g}, {signed(one.difference, FIGURES[one.metric].decimals)}"


def show(one: Cell) -> str:
    """A figure as the Markdown tables print it: `8.12 [7.90, 8.30] (9.29, −1.17)`."""
    return show_ours(one) + (f" ({show_paper(one)})" if one.paper is not None else "")


def show_counts(cells: Iterable[Cell]) -> str:
    """How many clips (or videos) the figures of a row are of: one number, or the least and the most."""
    counts = sorted({one.n for one in cells if one.n is not None})
    return "–".join(dict.fromkeys((str(counts[0]), str(counts[-1])))) if counts else ""


@dataclass(frozen=True)
class Block:
    """The part of a table that is of one corpus: columns, and the rows' cells in that order, by method."""

    corpus: str
    metrics: list[str]
    rows: dict[str, list[Cell]]


def blocks(cells: Iterable[Cell]) -> list[Block]:
    """A table corpus by corpus. Raises KeyError where a row lacks a metric that others of its block have."""
    of_corpus: dict[str, dict[str, dict[str, Cell]]] = {}
    for one in cells:
        of_corpus.setdefault(one.corpus, {}).setdefault(one.method, {})[one.metric] = one
    made = []
    for corpus, rows in of_corpus.items():
        metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
        made.append(Block(corpus, metrics, {name: [row[metric] for metric in metrics] for name, row in rows.items()}))
    return made


def to_markdown(cells: Sequence[Cell], caption: str) -> str:
    """One block a corpus, one row a method, one column a metric."""
    lines = [caption, ""]
    for block in blocks(cells):
        lines += [f"**{block.corpus}**", ""]
        lines += ["| method | n | " + " | ".join(FIGURES[metric].heading for metric in block.metrics) + " |"]
        lines += ["|---|---:|" + "---:|" * len(block.metrics)]
        for method, row in block.rows.items():
            lines += [f"| {method} | {show_counts(row)} | " + " | ".join(map(show, row)) + " |"]
        lines += [""]
    return "\n".join(lines)


TITLES = {
    1: "Quality, synchronisation and intelligibility",
    2: "Lip reading of AV-SyncNet on real video, LRS2",
    3: "Ablations of SyncTalklip, LRS2",
    4: "Variants of SyncTalklip",
}


def caption(number: int, setting: Setting, unscored: str = "") -> str:
    """What a table is of, and what its figures can be compared with; in those of external methods, `unscored` says
    which of their videos have no figures.
    """
    parts = [
        f"Table {number}. {TITLES[number]}; {setting.words}.",
        f"Brackets: 95 % bootstrap interval over the n clips. {BESIDE}",
    ]
    if number != 2 and setting.common_start:
        parts.append("All methods start from one common generator (stage `start`), Wav2Lip from its image part.")
    if number == 3:
        parts.append("The paper has LSE-C 8.81 here and 9.29 in tables 1 and 4 for the same synctalklip.")
    if number in (1, 4):
        parts.append("The paper has LSE-C 9.29 on LRS2 here and 8.81 in table 3 for the same synctalklip.")
    if number in (3, 4):
        parts.append("WER3 is teacher-forced: each word is read after the true ones. `free` reads after its own.")
    if number != 2:
        parts.append(f"{WHY_TWO_PSNRS} The paper's stands beside ours of the former kind, `PSNR (uint8)`.")
    if number in (1, 4) and unscored:
        parts.append(unscored)
    return " ".join(parts)
