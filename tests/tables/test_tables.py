"""Tables: the paper's figures in their places, ours beside them, and rows that were not run saying so."""

from __future__ import annotations

import csv
import io
import re
from importlib import resources
from pathlib import Path

import pytest
import yaml

from synctalk.params.read import PARAMS
from synctalk.tables.paper_figures import paper_table
from synctalk.tables.setting import TEST_CORPORA, Setting, load_setting
from synctalk.tables.table import (
    METRICS,
    READERS_2,
    Cell,
    caption,
    method_table,
    reader_table,
    show,
    to_csv,
    to_markdown,
)
from synctalk.tables.tex import to_tex


def interval(value: float, n: int = 40) -> dict[str, float]:
    return {"value": value, "low": value - 0.5, "high": value + 0.25, "n": n}


BASE = {"lrs2": {"lse_c": interval(8.0), "psnr": interval(25.0), "psnr_uint8": interval(30.85), "wer1": interval(30.0)}}


def pick(cells: list[Cell], corpus: str, method: str, metric: str) -> Cell:
    (found,) = [one for one in cells if (one.corpus, one.method, one.metric) == (corpus, method, metric)]
    return found


@pytest.mark.parametrize(
    ("number", "corpus", "method", "metric", "printed"),
    [
        (1, "lrs2", "synctalklip", "lse_c", 9.29),
        (1, "lrs3", "synctalklip", "lse_c", 8.38),
        (1, "lrs2", "synctalklip", "wer1", 19.7),
        (1, "lrs3", "synctalklip", "wer2", 19.1),
        (1, "lrs3", "synctalklip", "wer1", None),
        (1, "lrs2", "ground_truth", "psnr", None),
        (1, "lrs2", "identity_memory", "wer1", None),
        (1, "lrs3", "identity_memory", "lse_c", None),
        (1, "lrs2", "nobody", "lse_c", None),
        (2, None, "av_syncnet_conv", "wer", 26.1),
        (3, None, "wo_lip_reading", "lse_c", 8.40),
        (3, None, "wo_lip_reading", "wer3", 73.9),
        (4, "lrs3", "synctalklip_freeze", "wer3", 81.8),
        (5, None, "talklip", "sync_mean", 3.84),
    ],
)
def test_figures_of_the_paper_are_found(
    number: int, corpus: str | None, method: str, metric: str, printed: float | None
) -> None:
    assert paper_table(number).figure(method, metric, corpus) == printed


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_papers_figures_are_those_of_the_reference_copy(shared: Path, number: int) -> None:
    ours = resources.files("synctalk.tables") / "paper" / f"table{number}.csv"
    theirs = shared / "paper" / "tables" / f"table{number}.csv"
    assert ours.read_text(encoding="utf-8") == theirs.read_text(encoding="utf-8")


def test_every_row_of_the_paper_is_kept_in_its_order() -> None:
    cells = method_table(1, {"base": BASE})
    for corpus in TEST_CORPORA:
        here = list(dict.fromkeys(one.method for one in cells if one.corpus == corpus))
        assert here == paper_table(1).methods(corpus)
    assert len(cells) == (9 + 6) * (len(METRICS) + 1)
    assert {one.metric for one in cells if one.corpus == "lrs3"} == {*METRICS, "wer2"}
    assert {one.metric for one in method_table(4, {})} == {*METRICS, "wer3", "wer3_free"}


ABLATIONS = ["wo_novel_contrastive", "wo_av_syncnet", "wo_contrastive", "wo_lip_reading"]


def test_table_3_has_the_ablations_and_the_whole_on_lrs2() -> None:
    results = {
        "base": {"lrs2": {"wer3": interval(30.0)}, "lrs3": {"wer3": interval(99.0)}},
        "wo_contrastive": {"lrs2": {"wer3": interval(50.0), "wer3_free": interval(60.0)}},
    }
    cells = method_table(3, results)
    assert list(dict.fromkeys(one.method for one in cells)) == ["synctalklip", *ABLATIONS]
    assert {one.corpus for one in cells} == {"lrs2"}
    whole, without = (pick(cells, "lrs2", name, "wer3") for name in ("synctalklip", "wo_contrastive"))
    assert (whole.ours, whole.paper, without.ours, without.paper) == (30.0, 26.8, 50.0, 48.3)
    assert pick(cells, "lrs2", "wo_contrastive", "wer3_free").paper is None
    assert sum(one.ours is not None for one in cells) == 3


def test_a_method_that_no_table_of_the_paper_has_gets_a_row_in_tables_1_and_4() -> None:
    results = {"base": BASE, "wav2lip": {}, "wo_contrastive": {}, "conv": {}, "wav2lip_gan": BASE}
    rows = {n: list(dict.fromkeys(one.method for one in method_table(n, results))) for n in (1, 3, 4)}
    assert rows[1] == [*paper_table(1).methods("lrs2"), "wav2lip_gan"]
    assert rows[3] == paper_table(3).methods()
    assert rows[4] == [*paper_table(4).methods("lrs2"), "wav2lip_gan"]
    assert pick(method_table(1, results), "lrs2", "wav2lip_gan", "lse_c").ours == 8.0


def test_an_external_method_has_a_row_in_tables_1_and_4_whether_it_was_run_or_not() -> None:
    results = {"atvgnet": {}, "mine": {"lrs3": {"lse_c": interval(3.0)}}}
    for number in (1, 4):
        cells = method_table(number, results, external=results)
        for corpus in TEST_CORPORA:
            rows = [one.method for one in cells if one.corpus == corpus]
            assert len(set(rows)) == len(rows) / len({one.metric for one in cells if one.corpus == corpus})
            assert {"atvgnet", "mine"} <= set(rows)
        assert pick(cells, "lrs3", "mine", "lse_c").ours == 3.0
        assert show(pick(cells, "lrs3", "atvgnet", "lse_c")) == "not run"
    assert show(pick(method_table(1, results, results), "lrs2", "atvgnet", "lse_c")) == "not run (5.05)"
    assert {one.method for one in method_table(3, results, results)} == set(paper_table(3).methods())


def test_ours_stand_beside_the_papers_of_the_same_method() -> None:
    cells = method_table(1, {"base": BASE, "conv": {"lrs2": {"lse_c": interval(1.0)}}})
    found = pick(cells, "lrs2", "synctalklip", "lse_c")
    assert (found.ours, found.low, found.high, found.n, found.paper) == (8.0, 7.5, 8.25, 40, 9.29)
    assert found.difference == pytest.approx(-1.29)
    # the variants are rows of table 4, not of table 1
    assert sum(one.ours is not None for one in cells) == 4
    variants = method_table(4, {"conv": {"lrs3": {"lse_c": interval(1.0)}}})
    assert pick(variants, "lrs3", "synctalklip_conv", "lse_c").ours == 1.0
    assert sum(one.ours is not None for one in variants) == 1


def test_the_papers_psnr_stands_beside_the_wrapping_one_only() -> None:
    cells = method_table(1, {"base": BASE})
    wrapping, true = (pick(cells, "lrs2", "synctalklip", name) for name in ("psnr_uint8", "psnr"))
    assert (wrapping.ours, wrapping.paper) == (30.85, 31.85)
    assert wrapping.difference == pytest.approx(-1.0)
    assert (true.ours, true.paper, true.difference) == (25.0, None, None)
    assert all(one.paper is None for one in cells if one.metric == "psnr")


def test_readers_of_table_2_are_those_of_the_paper() -> None:
    cells = reader_table({"av_syncnet": {"wer": interval(30.0)}, "unknown": {"wer": interval(1.0)}})
    assert [one.method for one in cells] == list(READERS_2) == paper_table(2).methods()
    assert [one.paper for one in cells] == [25.0, 26.0, 26.1, 40.9]
    assert [one.ours for one in cells] == [None, 30.0, None, None]


def test_figures_as_they_are_shown() -> None:
    assert show(Cell("lrs2", "m", "lse_c", 8.123, 7.5, 8.3, 40, 9.29)) == "8.12 [7.50, 8.30] (9.29, −1.17)"
    assert show(Cell("lrs2", "m", "ssim", 0.95, 0.85, 0.97, 40, 0.93)) == "0.950 [0.850, 0.970] (0.93, +0.020)"
    assert show(Cell("lrs2", "m", "ssim", 0.9, 0.85, 0.95, 40, None)) == "0.900 [0.850, 0.950]"
    assert show(Cell("lrs2", "m", "wer1", None, None, None, None, 23.4)) == "not run (23.4)"
    assert show(Cell("lrs2", "m", "psnr", None, None, None, None, None)) == "not run"
    assert show(Cell("lrs2", "ground_truth", "psnr", None, None, None, None, None)) == "–"
    assert show(Cell("lrs2", "ground_truth", "ssim", None, None, None, None, 1.0)) == "– (1)"


def test_csv_has_one_line_a_figure_and_blanks_for_what_is_not_there() -> None:
    cells = method_table(1, {"base": BASE})
    text = to_csv(cells)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["corpus", "method", "metric", "ours", "low", "high", "n", "paper", "difference"]
    assert len(rows) == len(cells)
    assert "lrs2,synctalklip,lse_c,8.0000,7.5000,8.2500,40,9.2900,-1.2900\n" in text
    assert "lrs2,synctalklip,psnr,25.0000,24.5000,25.2500,40,,\n" in text
    assert "lrs2,talklip,lse_c,,,,,8.5300,\n" in text


def test_markdown_has_a_block_a_corpus_and_says_what_was_not_run() -> None:
    text = to_markdown(method_table(1, {"base": BASE}), "Caption.")
    lines = text.splitlines()
    assert lines[0] == "Caption."
    header = lines.index("| method | n | LSE-C ↑ | LSE-D ↓ | PSNR ↑ | PSNR (uint8) ↑ | SSIM ↑ | WER1 % ↓ |")
    assert lines.index("**lrs2**") == header - 2
    assert lines[header + 1] == "|---|---:|---:|---:|---:|---:|---:|---:|"
    table = lines[header + 2 : lines.index("**lrs3**") - 1]
    assert len(table) == 9
    assert {line.count("|") for line in table} == {9}
    talklip = "| talklip |  | not run (8.53) | not run (5.87) | not run | not run (30.42) | not run (0.81) | "
    assert talklip + "not run (23.4) |" in table
    ours = "| synctalklip | 40 | 8.00 [7.50, 8.25] (9.29, −1.29) | not run (5.52) | 25.00 [24.50, 25.25] | "
    assert any(line.startswith(ours) for line in table)
    assert lines[lines.index("**lrs3**") + 2].endswith("| WER2 % ↓ |")


def test_unequal_counts_of_clips_are_named_row_by_row() -> None:
    cells = [
        Cell("lrs2", method, metric, 1.0, 1.0, 1.0, n, None)
        for method, counts in {"a": (40, 40), "b": (40, 38)}.items()
        for metric, n in zip(("lse_c", "wer"), counts, strict=True)
    ]
    lines = to_markdown(cells, "").splitlines()
    assert any(line.startswith("| a | 40 |") for line in lines)
    assert any(line.startswith("| b | 38–40 |") for line in lines)


def test_tex_has_two_lines_a_row_and_nothing_that_latex_would_misread() -> None:
    text = to_tex(method_table(1, {"base": BASE}), "95 % of `a_b` – α.", "tab:1")
    assert text.isascii()
    assert r"\caption{95 \% of \texttt{a\_b} -- $\alpha$.}" in text
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert {line.count(" & ") for line in rows} == {7}
    assert r"\begin{tabular}{lrrrrrrr}" in text
    ours = next(number for number, line in enumerate(rows) if line.startswith("synctalklip & 40 & {8.00 [7.50, 8.25]}"))
    assert rows[ours + 1].startswith(r" &  & {\footnotesize (9.29, $-$1.29)} & {\footnotesize (5.52)} &  & ")
    assert r"ground\_truth" in text
    assert rows[0].startswith(r"\emph{lrs2} & n & LSE-C $\uparrow$ & LSE-D $\downarrow$")
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert len(re.findall(r"(?<!\\)[%#_]", text)) == 2  # the comment at the head, and the one that ends a line


def test_tex_of_tables_with_other_columns_by_corpus_is_as_wide_as_the_widest() -> None:
    cells = [
        Cell("lrs2", "a", "lse_c", 1.0, 1.0, 1.0, 4, None),
        Cell("lrs2", "a", "wer1", 1.0, 1.0, 1.0, 4, None),
        Cell("lrs3", "a", "wer2", None, None, None, None, None),
    ]
    rows = [line for line in to_tex(cells, "", "t").splitlines() if line.endswith(r" \\")]
    assert rows[-1] == r"a &  & {not run} &  \\"
    assert {line.count(" & ") for line in rows} == {3}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_caption_names_the_scale_and_what_values_compare_with(number: int) -> None:
    demo = caption(number, Setting(scale="demo", synthetic=True, common_start=True))
    paper = caption(number, Setting(scale="paper", synthetic=False, common_start=False))
    assert demo.startswith(f"Table {number}. ")
    assert "scale `demo`" in demo
    assert "scale `paper`" in paper
    assert "synthetic" in demo
    assert "synthetic" not in paper
    assert ("subtracts bytes" in demo) == ("one common generator" in demo) == (number != 2)
    assert "common" not in paper
    assert ("teacher-forced" in demo) == (number in (3, 4))
    assert ("8.81" in demo) == ("9.29" in demo) == (number != 2)


def test_the_setting_is_that_of_params_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = yaml.load(PARAMS.read_text(encoding="utf-8"), yaml.CSafeLoader)
    monkeypatch.chdir(tmp_path)
    PARAMS.write_text(yaml.dump(params, Dumper=yaml.CSafeDumper), encoding="utf-8")
    assert load_setting() == Setting(scale=params["scale"], synthetic=True, common_start=True)
    for corpus in TEST_CORPORA:
        params["corpora"][corpus]["root"] = f"corpora/{corpus}"
    params["start"]["optim"]["steps"] = 0
    PARAMS.write_text(yaml.dump(params, Dumper=yaml.CSafeDumper), encoding="utf-8")
    assert load_setting() == Setting(scale=params["scale"], synthetic=False, common_start=False)
