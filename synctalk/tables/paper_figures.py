"""The paper's own figures: `paper/table1.csv` ... as printed, looked up by corpus, method and metric."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

METHOD_NAMES = {
    "ground_truth": "ground_truth",
    "base": "synctalklip",
    "conv": "synctalklip_conv",
    "freeze": "synctalklip_freeze",
}
"""Our method to the paper's row, where the two are not called the same."""

WER_SCORERS = {3: "wer3"}
"""Table to the observer behind its column `wer`, where the rows do not say it."""


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper, row by row as in its CSV; `wer_scorer` is the observer behind `wer` in all rows."""

    rows: list[dict[str, str]]
    wer_scorer: str | None = None

    def methods(self, corpus: str | None = None) -> list[str]:
        """Methods in the paper's order; of one corpus where the table has several."""
        return [row["method"] for row in self.rows if corpus is None or row["corpus"] == corpus]

    def figure(self, method: str, metric: str, corpus: str | None = None) -> float | None:
        """The printed figure; None where the paper prints none."""
        for row in self.rows:
            if row["method"] == method and (corpus is None or row["corpus"] == corpus):
                if metric == row.get("wer_scorer", self.wer_scorer):
                    return float(row["wer"]) if row["wer"] else None
                return float(row[metric]) if row.get(metric) else None
        return None

    @property
    def has_corpora(self) -> bool:
        """Whether the rows name their corpus."""
        return "corpus" in self.rows[0]


def paper_row(method: str) -> str:
    """The paper's name of one of our methods."""
    return METHOD_NAMES.get(method, method)


def paper_table(number: int) -> PaperTable:
    """Table `number` of the paper, 1 to 5."""
    text = (resources.files("synctalk.tables") / "paper" / f"table{number}.csv").read_text(encoding="utf-8")
    return PaperTable(list(csv.DictReader(text.splitlines())), WER_SCORERS.get(number))
