"""A table for LaTeX: booktabs, two lines a row, ours above and the paper's figure with the difference below."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synctalk.tables.figures import FIGURES
from synctalk.tables.table import Cell, blocks, show_counts, show_ours, show_paper

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    **{sign: f"\\{sign}" for sign in "%_&#$"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "α": r"$\alpha$",
    "≥": r"$\geq$",
}
"""Characters that LaTeX reads as something else, or whose fonts lack them."""


def tex_text(text: str) -> str:
    """Text as LaTeX prints it; what stands between backticks in typewriter letters."""
    escaped = "".join(SPECIAL.get(sign, sign) for sign in text)
    return re.sub(r"`([^`]*)`", r"\\texttt{\1}", escaped)


def to_tex(cells: Sequence[Cell], caption: str, label: str) -> str:
    """A floating table over both columns of a page; needs the packages booktabs and graphicx.

    Args:
        cells: of one table, row by row.
        caption: plain text.
        label: for \\ref.
    """
    made = blocks(cells)
    widest = max((len(block.metrics) for block in made), default=0)
    lines = [
        "% needs \\usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{tex_text(caption)}}}",
        rf"\label{{{label}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{lr{'r' * widest}}}",
    ]
    for number, block in enumerate(made):
        blank = [""] * (widest - len(block.metrics))
        lines.append(r"\midrule[\heavyrulewidth]" if number else r"\toprule")
        headings = [tex_text(FIGURES[metric].heading) for metric in block.metrics]
        head = [rf"\emph{{{tex_text(block.corpus)}}}", "n", *headings]
        lines += [_line([*head, *blank]), r"\midrule"]
        for method, row in block.rows.items():
            lines.append(_line([tex_text(method), tex_text(show_counts(row)), *map(_ours, row), *blank]))
            if any(one.paper is not None for one in row):
                lines.append(_line(["", "", *map(_paper, row), *blank]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table*}", ""])


def _line(entries: Sequence[str]) -> str:
    return " & ".join(entries) + r" \\"


def _ours(one: Cell) -> str:
    # brackets at the head of an entry could be taken for an argument of the \\ before
    return f"{{{tex_text(show_ours(one))}}}"


def _paper(one: Cell) -> str:
    return rf"{{\footnotesize ({tex_text(show_paper(one))})}}" if one.paper is not None else ""
