"""README says what is true: its figures are those of the last run, and what it points at is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from root import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COLUMNS = {
    "LSE-C ↑": "lse_c",
    "with other sound": "lse_c_other",
    "LSE-D ↓": "lse_d",
    "PSNR ↑": "psnr",
    "PSNR (uint8) ↑": "psnr_uint8",
    "SSIM ↑": "ssim",
    "mouth PSNR ↑": "mouth_psnr",
    "mean mouth": "mean_mouth_psnr",
    "WER % ↓": "wer",
    "WER3 % ↓": "wer3",
    "WER3, free % ↓": "wer3_free",
}


def results_rows() -> list[dict[str, str]]:
    """Rows of the table of results, by heading."""
    lines = [line for line in README.splitlines() if line.startswith("|")]
    begin = next(number for number, line in enumerate(lines) if line.startswith("| role |"))
    head = [name.strip() for name in lines[begin].strip("|").split("|")]
    rows = []
    for line in lines[begin + 2 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] not in ("lrs2", "lrs3"):
            break
        rows.append(dict(zip(head, cells, strict=True)))
    return rows


def test_the_results_are_those_of_the_last_run() -> None:
    methods = ROOT / "results" / "methods"
    if not methods.is_dir():
        pytest.skip("nothing has been run here")
    rows = results_rows()
    assert {row["method"] for row in rows} == {path.name for path in methods.iterdir()}
    for row in rows:
        figures = json.loads((methods / row["method"] / "metrics.json").read_text(encoding="utf-8"))[row["role"]]
        figures["wer"] = next(value for name, value in figures.items() if name in ("wer1", "wer2"))
        shown = {name: figures.get(key) for name, key in COLUMNS.items()}
        digits = {name: 3 if name == "SSIM ↑" else 1 if name.startswith("WER") else 2 for name in COLUMNS}
        wanted = {name: "–" if value is None else f"{value:.{digits[name]}f}" for name, value in shown.items()}
        assert {name: row[name] for name in COLUMNS} == wanted, (row["role"], row["method"])


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:\w+/)+\w*\.?\w*)`", README))))
def test_files_and_folders_that_are_named_are_there(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "synctalk" / name).exists() or name.startswith(("data/", "report/"))


@pytest.mark.parametrize(("file", "name"), sorted(set(re.findall(r"`(\w+/\w+\.py): (\w+)`", README))))
def test_functions_of_the_equation_map_are_there(file: str, name: str) -> None:
    path: Path = ROOT / "synctalk" / file
    assert re.search(rf"^(def|class) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("package", sorted(path.parent.name for path in (ROOT / "synctalk").glob("*/__init__.py")))
def test_every_package_is_on_the_map(package: str) -> None:
    assert f"`{package}/`" in README
