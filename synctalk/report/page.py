"""What the report and the page of `synctalk score` share: style and scripts, the table of clips, and bars.

A page is one HTML file with style, scripts and data in it: it opens offline and asks for nothing.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Literal

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from synctalk.tables.figures import FIGURES
from synctalk.timebase import FPS

SHOWN_OFFSET = 5
"""Offsets up to this one, in frames, have a bar in every histogram."""


@dataclass(frozen=True)
class Column:
    """A column of the table of clips.

    Attributes:
        name: of the figure in a row.
        heading: as the page names it.
        decimals: decimals.
        worst: which end is bad, and stands first: low or high values, those far from zero; None for text.
    """

    name: str
    heading: str
    decimals: int = 0
    worst: Literal["low", "high", "far"] | None = None


TEXTS = (Column("corpus", "corpus"), Column("method", "method"), Column("clip", "clip"))
OF_CLIPS = (
    "lse_c",
    "lse_d",
    "offset",
    "n_windows",
    "psnr",
    "psnr_uint8",
    "ssim",
    "mouth_psnr",
    "frame_psnr",
    "frame_lpips",
    "wer",
    "cer",
    "wer3",
    "wer3_free",
)
"""Figures that clips are listed with."""
COLUMNS = tuple(
    Column(name, figure.heading, figure.decimals, figure.worst)
    for name, figure in ((name, FIGURES[name]) for name in OF_CLIPS)
)
READ = Column("hypothesis", "read as")
READ_3 = (Column("wer3_hypothesis", "WER3: read as"), Column("wer3_free_hypothesis", "WER3, free: read as"))
SORTED_BY = ("lse_c", "mouth_psnr", "frame_psnr", "wer")
"""What the table is sorted by at first: the first of these that was measured."""
RATES = {
    "wer": ("edits", "n_words"),
    "cer": ("char_edits", "n_chars"),
    "wer3": ("wer3_edits", "n_words"),
    "wer3_free": ("wer3_free_edits", "n_words"),
}
"""Rates in percent by what they are made of."""


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: what it counts, how many, and its length as a share of the longest."""

    label: str
    count: int
    share: float


def bars(counts: Iterable[tuple[str, int]]) -> list[Bar]:
    """Labels and counts as bars."""
    rows = list(counts)
    most = max((count for _, count in rows), default=0)
    return [Bar(label, count, count / most if most else 0.0) for label, count in rows]


def offset_bars(offsets: Sequence[int]) -> list[Bar]:
    """Clips at each offset in frames, those up to `SHOWN_OFFSET` always; empty without clips."""
    if not offsets:
        return []
    counts = Counter(offsets)
    shown = range(min(*offsets, -SHOWN_OFFSET), max(*offsets, SHOWN_OFFSET) + 1)
    return bars((str(offset), counts[offset]) for offset in shown)


def marked_words(reference: str, hypothesis: str) -> list[tuple[str, bool]]:
    """Words of the hypothesis; right where they are part of a longest common subsequence with the reference."""
    a, b = reference.split(), hypothesis.split()
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, j in np.ndindex(len(a), len(b)):
        table[i + 1, j + 1] = table[i, j] + 1 if a[i] == b[j] else max(table[i, j + 1], table[i + 1, j])
    right, i, j = set(), len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            right.add(j - 1)
            i, j = i - 1, j - 1
        elif table[i - 1, j] >= table[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return [(word, index in right) for index, word in enumerate(b)]


def known(value: Any) -> Any:  # noqa: ANN401  # of a column of any type
    """A value of a table; None where there is none."""
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def clip_row(score: Mapping[str, Any], corpus: str | None, method: str) -> dict[str, Any]:
    """One row of scores as the page shows it: rounded figures, rates in percent, and which words were read right."""
    row: dict[str, Any] = {"corpus": corpus, "method": method, "clip": score["id"]}
    rates = {
        name: 100 * score[edits] / score[of]
        for name, (edits, of) in RATES.items()
        if known(score.get(edits)) is not None and known(score.get(of))
    }
    for column in COLUMNS:
        value = known(rates.get(column.name, score.get(column.name)))
        row[column.name] = None if value is None else round(float(value), column.decimals)
    row["reference"] = reference = known(score["reference"])
    for column in (READ, *READ_3):
        row[column.name] = hypothesis = known(score.get(column.name))
        marks = marked_words(reference, hypothesis) if reference is not None and hypothesis is not None else None
        row[marks_of(column)] = None if marks is None else "".join(str(int(right)) for _, right in marks)
    return row


def marks_of(column: Column) -> str:
    """Name of what says which words of a column of hypotheses are right: a digit a word."""
    return f"{column.name}_right"


def clip_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as the page's script reads them: columns in which nothing was measured are left out."""

    def has(name: str) -> bool:
        return any(row[name] is not None for row in rows)

    columns = [column for column in (*TEXTS, READ, *COLUMNS, *READ_3) if has(column.name)]
    if has("psnr"):  # of faces: then the whole frame's says little
        columns = [column for column in columns if column.name != "frame_psnr"]
    read = [column for column in columns if column in {READ, *READ_3}]
    names = [*(column.name for column in columns), "reference", *map(marks_of, read)]
    return {
        "columns": [asdict(column) for column in columns],
        "names": names,
        "rows": [[row[name] for name in names] for row in rows],
        "sort": next((name for name in SORTED_BY if has(name)), "clip"),
    }


def page_data(
    clips: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], methods: Sequence[str], shown: Sequence[str]
) -> Markup:
    """What the scripts are given, as JSON that is safe inside a script element.

    Args:
        clips: of the gallery; see gallery.js.
        rows: of `clip_row`.
        methods: all, in the order of their keys.
        shown: those that the gallery shows at first.
    """
    data = {"fps": FPS, "methods": methods, "shown": shown, "clips": clips, "table": clip_table(rows)}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))  # noqa: S704  # no tag can end the element


def asset(name: str) -> Markup:
    """A file of this package that a page carries in itself."""
    return Markup((resources.files("synctalk.report") / name).read_text(encoding="utf-8"))  # noqa: S704  # our own


def render_page(template: str, **content: Any) -> str:  # noqa: ANN401  # the template's variables
    """A page from its template in this package."""
    environment = Environment(
        loader=PackageLoader("synctalk.report", "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.globals["asset"] = asset
    return environment.get_template(template).render(**content)
