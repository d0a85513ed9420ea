"""Write what documents take from elsewhere: figures from results/, stages and their graph from dvc.yaml, packages.

`python -m pipeline.pages` fills the blocks between `<!-- begin NAME -->` and `<!-- end NAME -->` of `PAGES`. Run it
after `dvc repro`, and after a change of dvc.yaml; a test compares the pages with what it would write.
"""

from __future__ import annotations

import ast
import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.stage import run
from synctalk.errors import UserError
from synctalk.tables.figures import FIGURES

PAGES = ("README.md", "results/README.md", "docs/architecture.md")
BLOCK = re.compile(r"(<!-- begin (\w+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)
RESULTS = Path("results")
GRAPHS = (Path("dvc.yaml"), Path("data/synthetic/dvc.yaml"))
NONE = "–"
SHORT_ROWS = ("ground_truth", "synctalklip", "talklip", "wav2lip")
SHORT_METRICS = ("lse_c", "lse_d", "ssim", "wer")
METHOD_METRICS = (
    "lse_c", "lse_c_other", "lse_d", "psnr", "psnr_uint8", "ssim", "mouth_psnr", "mean_mouth_psnr", "wer", "wer3",
    "wer3_free",
)  # fmt: skip
OBSERVED = ("wer1", "wer2")
"""Names of the first observer's word error rate, one a corpus; in one column here."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    """A Markdown table; columns after the first `text_columns` are numbers, set to the right."""
    rule = ["---"] * text_columns + ["---:"] * (len(head) - text_columns)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def rows_of(path: Path) -> list[dict[str, str]]:
    """Lines of a CSV file by heading."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def short_results() -> str:
    """Four rows of table 1 on each corpus, with 95 % intervals."""
    found = {
        (row["corpus"], row["method"], "wer" if row["metric"] in OBSERVED else row["metric"]): row
        for row in rows_of(RESULTS / "tables/table1.csv")
    }

    def show(metric: str, row: dict[str, str]) -> str:
        if not row["ours"]:
            return NONE
        value, low, high = (f"{float(row[name]):.{FIGURES[metric].decimals}f}" for name in ("ours", "low", "high"))
        return f"{value} [{low}, {high}]"

    corpora = sorted({corpus for corpus, _, _ in found})
    lines = [
        [corpus, method, *(show(metric, found[corpus, method, metric]) for metric in SHORT_METRICS)]
        for corpus in corpora
        for method in SHORT_ROWS
    ]
    return table(["corpus", "method", *(FIGURES[metric].heading for metric in SHORT_METRICS)], lines, 2)


def method_results() -> str:
    """Means over the test clips of every method on each corpus: results/methods/<method>/metrics.json."""
    figures = {path.parent.name: read_json(path) for path in sorted(RESULTS.glob("methods/*/metrics.json"))}
    order = sorted(figures, key=lambda method: (method != "ground_truth", method))

    def show(metric: str, values: dict[str, float]) -> str:
        names = OBSERVED if metric == "wer" else (metric,)
        return next((f"{values[name]:.{FIGURES[metric].decimals}f}" for name in names if name in values), NONE)

    lines = [
        [corpus, method, *(show(metric, figures[method][corpus]) for metric in METHOD_METRICS)]
        for corpus in sorted({corpus for values in figures.values() for corpus in values})
        for method in order
        if corpus in figures[method]
    ]
    return table(["corpus", "method", *(FIGURES[metric].heading for metric in METHOD_METRICS)], lines, 2)


def verdicts() -> str:
    """How many of the paper's orderings got which verdict, and which: results/claims.json."""
    by_verdict: dict[str, list[str]] = {}
    for claim in read_json(RESULTS / "claims.json")["claims"]:
        by_verdict.setdefault(claim["verdict"], []).append(claim["id"])
    lines = [(name, ", ".join(claims), str(len(claims))) for name, claims in sorted(by_verdict.items())]
    return table(["verdict", "claims", "n"], lines, 2)


def units() -> str:
    """How well clusters agree with phones: results/probe/units.csv."""
    rows = rows_of(RESULTS / "probe/units.csv")
    return table(list(rows[0]), [list(row.values()) for row in rows], 1)


def corpora() -> str:
    """How much of each corpus was kept: results/corpora/<corpus>.json."""
    funnels = {path.stem: read_json(path) for path in sorted(RESULTS.glob("corpora/*.json"))}
    lines = [
        (name, str(funnel["clips"]), str(funnel["kept"]), f"{funnel['hours']:.2f}") for name, funnel in funnels.items()
    ]
    return table(["corpus", "clips", "kept", "hours"], lines, 1)


def stages() -> str:
    """Stage, its script and what the script's docstring says that it does."""
    lines: dict[str, tuple[str, str, str]] = {}
    for graph in GRAPHS:
        for name, stage in yaml.load(graph.read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"].items():
            commands = stage.get("do", stage)["cmd"]
            module = re.findall(r"-m pipeline\.(\w+)", commands if isinstance(commands, str) else commands[-1])[-1]
            script = Path("pipeline", f"{module}.py")
            lines[name] = (f"`{name}`", f"`{script}`", first_paragraph(script).removeprefix("Stage: "))
    return table(["stage", "script", "from -> to"], lines.values(), 3)


def packages() -> str:
    """Every package of synctalk and the first line of its docstring."""
    inits = sorted(Path("synctalk").glob("*/__init__.py"))
    return table(["package", "what it holds"], [(f"`{path.parent}/`", first_paragraph(path)) for path in inits], 2)


def graph() -> str:
    """The stages as DVC draws them, without `code`, on which all others depend."""
    command = [sys.executable, "-m", "dvc", "dag", "--collapse-foreach-matrix", "--mermaid"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (code,) = re.findall(r'(node\d+)\["code"\]', drawn)
    kept = [line.replace("\t", "    ") for line in drawn.splitlines() if not re.search(rf"\b{code}\b", line)]
    return "\n".join(["```mermaid", *kept, "```", ""])


BLOCKS: dict[str, Callable[[], str]] = {
    "short_results": short_results,
    "method_results": method_results,
    "verdicts": verdicts,
    "units": units,
    "corpora": corpora,
    "stages": stages,
    "packages": packages,
    "graph": graph,
}


def first_paragraph(script: Path) -> str:
    """Of a module's docstring, in one line."""
    docstring = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def read_json(path: Path) -> dict[str, Any]:
    """A file of results.

    Raises:
        UserError: it is not there.
    """
    if not path.is_file():
        raise UserError(path, "is not there", "run `dvc repro`")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def blocks(text: str) -> dict[str, str]:
    """Content of every block of a page, by its name."""
    return {name: content for _, name, content, _ in BLOCK.findall(text)}


def fill(text: str, name: str, content: str) -> str:
    """The page with `content` in the block `name`, all else as it is."""
    return BLOCK.sub(lambda found: f"{found[1]}{content}{found[4]}" if found[2] == name else found[0], text)


def main() -> None:
    """Write every block of every page."""
    for page in map(Path, PAGES):
        text = page.read_text(encoding="utf-8")
        for name in blocks(text):
            text = fill(text, name, BLOCKS[name]())
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
