"""The report: what it marks, chooses and checks, and that the page is one file which needs no other."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from evaluation.footage import FACE, made_videos, real_videos, waves

from synctalk.media.probe import probe
from synctalk.report.checks import sanity_checks
from synctalk.report.clips import (
    ClipView,
    VideoView,
    choose_clips,
    contact_sheet,
    face_strip,
    jpeg,
    mouth_box,
    video_view,
)
from synctalk.report.page import Bar, clip_row, clip_table, marked_words
from synctalk.report.report import render, table_rows
from synctalk.report.results import corpus_view, read_bars, read_clusters, read_curves
from synctalk.tables.claims import check_claims, to_json
from synctalk.tables.setting import Setting
from synctalk.tables.table import Cell, caption, method_table


@pytest.mark.parametrize(
    ("reference", "hypothesis", "right"),
    [
        ("bin blue at f", "bin blue at f", "1111"),
        ("bin blue at f", "bin red at f", "1011"),
        ("bin blue at f", "blue at f now", "1110"),
        ("a b a", "a a a", "110"),
        ("a b", "b a", "10"),
        ("", "bin blue", "00"),
        ("bin blue", "", ""),
    ],
)
def test_words_of_a_longest_common_subsequence_are_right(reference: str, hypothesis: str, right: str) -> None:
    marked = marked_words(reference, hypothesis)
    assert [word for word, _ in marked] == hypothesis.split()
    if (reference, hypothesis) in {("a b a", "a a a"), ("a b", "b a")}:
        # more than one subsequence is longest; all are as long
        assert sum(good for _, good in marked) == right.count("1")
    else:
        assert "".join(str(int(good)) for _, good in marked) == right


def test_clips_are_the_worst_the_best_and_evenly_between() -> None:
    scores = pd.DataFrame({"id": list("gfedcba"), "lse_c": [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]})
    assert choose_clips(scores, 4) == ["a", "c", "e", "g"]
    assert choose_clips(scores, 2) == ["a", "g"]
    assert choose_clips(scores, 99) == list("abcdefg")
    assert choose_clips(scores.assign(lse_c=1.0), 2) == ["a", "g"]  # ties by id


def figures(**changes: float) -> dict[str, float]:
    good = {
        "wer1": 40.0, "offset_within_1": 0.95, "mouth_psnr": 25.0, "mean_mouth_psnr": 24.0, "lse_c": 3.0,
        "lse_c_other": 1.0,
    }  # fmt: skip
    return good | changes


def test_checks_hold_where_the_figures_bear_them_out() -> None:
    checks = sanity_checks({"lrs2": figures()}, {"base": {"lrs2": figures()}})
    assert [check.holds for check in checks] == [True] * 4
    assert [check.measured for check in checks] == ["40.0 %", "95%", "25.00 dB against 24.00 dB", "3.00 against 1.00"]
    assert all(check.statement.startswith("lrs2") for check in checks)


@pytest.mark.parametrize(
    ("real", "made", "broken"),
    [
        ({"wer1": 50.0}, {}, "WER below 50 %"),
        ({"offset_within_1": 0.89}, {}, "offset within one frame"),
        ({}, {"mouth_psnr": 23.9}, "lrs2, base: the mouth is closer"),
        ({}, {"lse_c": 1.0}, "lrs2, base: LSE-C"),
    ],
)
def test_a_check_that_does_not_hold_is_the_one_that_is_broken(
    real: dict[str, float], made: dict[str, float], broken: str
) -> None:
    checks = sanity_checks({"lrs2": figures(**real)}, {"base": {"lrs2": figures(**made)}})
    assert [broken in check.statement for check in checks] == [not check.holds for check in checks]


def test_curves_are_scaled_to_their_box(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("step,loss,rare,once\n0,3,,\n10,2,5,\n20,1,5,7\n", encoding="utf-8")
    loss, rare = read_curves("train", path)
    assert (loss.stage, loss.name, loss.last) == ("train", "loss", 1.0)
    places = [tuple(map(float, point.split(","))) for point in loss.points.split()]
    np.testing.assert_allclose(places, [(0, 1), (50, 29 - 28 / 1.96), (100, 29)], atol=0.05)
    assert rare.points == "50.0,29.0 100.0,29.0"
    assert (loss.low, loss.steps) == (1.0, 20)


def test_a_long_curve_is_drawn_by_means_of_its_stretches(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("step,loss\n" + "".join(f"{step},{step % 2}\n" for step in range(4000)), encoding="utf-8")
    (loss,) = read_curves("train", path)
    assert len(loss.points.split()) == 200
    assert (loss.low, loss.high, loss.last, loss.steps) == (0.5, 0.5, 1.0, 3999)


def test_clusters_are_listed_by_figure(tmp_path: Path) -> None:
    (tmp_path / "it1.json").write_text('{"clusters": 64, "purity": 0.25, "of": "mfcc"}')
    (tmp_path / "it2.json").write_text('{"clusters": 96, "purity": 0.5}')
    assert read_clusters(tmp_path) == {
        "clusters": [("it1", 64.0), ("it2", 96.0)],
        "purity": [("it1", 0.25), ("it2", 0.5)],
    }


def test_the_mouth_is_in_its_box_in_every_frame() -> None:
    # two faces of 64 pixels, the second 16 further right: mouths from 16 to 48 and 32 to 64, rows 36 to 60
    boxes = np.array([[0, 0, 64, 64], [16, 0, 80, 64]], np.int32)
    assert mouth_box(boxes, 80, 64) == (16 / 80, round(36 / 64, 4), 48 / 80, 24 / 64)
    # a face that is half outside: the box ends with the picture
    left, top, width, height = mouth_box(boxes + np.int32([32, 16, 32, 16]), 80, 64)
    assert (left + width, top + height) == (1.0, 1.0)


def test_rows_of_the_page_say_what_was_not_run() -> None:
    cells = [
        Cell("lrs2", "base", "ssim", 0.9, 0.85, 0.95, 40, 0.93),
        Cell("lrs2", "base", "lse_c", None, None, None, None, 9.29),
        Cell("lrs3", "base", "lse_c", 1.0, 0.5, 1.5, 40, None),
    ]
    first, second = table_rows(cells)
    assert (first["corpus"], first["method"], second["corpus"]) == ("lrs2", "base", "lrs3")
    ssim, lse_c = first["cells"]
    assert (ssim["ours"], ssim["interval"], ssim["paper"], ssim["ran"]) == ("0.900", "0.850 – 0.950", "0.93", True)
    assert (lse_c["ours"], lse_c["interval"], lse_c["paper"], lse_c["ran"]) == ("not run", "", "9.29", False)
    assert second["cells"][0]["paper"] == ""


def decoded(uri: str, kind: str) -> bytes:
    head, _, body = uri.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(body, validate=True)


def test_the_strip_shows_first_and_last_face_in_rgb() -> None:
    faces = np.zeros((30, 32, 32, 3), np.uint8)
    faces[0], faces[-1] = (250, 0, 0), (0, 0, 250)
    strip = face_strip(faces)
    assert strip.shape == (32, 320, 3)
    assert strip[16, 8].tolist() == [250, 0, 0]
    assert strip[16, 312].tolist() == [0, 0, 250]
    again = cv2.imdecode(np.frombuffer(jpeg(strip), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(again[16, 8], (250, 0, 0), atol=12)


def test_the_contact_sheet_has_a_named_row_for_each_take() -> None:
    red, blue = (np.full((32, 320, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 0, 250)))
    videos = [VideoView(name, b"", strip, (0, 0, 1, 1)) for name, strip in (("ground_truth", red), ("base", blue))]
    sheet = contact_sheet(ClipView("lrs2", "main/1/1", "bin blue", videos))
    width = sheet.shape[1] - 320
    assert (sheet[:32, width:] == red).all()
    assert (sheet[32:, width:] == blue).all()
    names = sheet[:, :width].reshape(2, 32, width, 3)
    written = [np.flatnonzero((name < 100).any(axis=(0, 2))) for name in names]
    assert written[1].max() < written[0].max() < width - 3  # the longer name ends before its faces begin


SCORE = {
    "id": "main/1/1", "n_windows": 20, "lse_c": 3.0, "lse_d": 6.5049, "offset": -1, "psnr": None, "ssim": None,
    "mouth_psnr": None, "frame_psnr": 31.0, "edits": 1, "n_words": 2, "char_edits": 0, "n_chars": 0,
    "reference": "bin blue", "hypothesis": "bin red",
}  # fmt: skip


def test_a_row_of_a_clip_is_rounded_and_in_percent() -> None:
    row = clip_row(SCORE | {"mouth_psnr": float("nan")}, "lrs2", "base")
    assert (row["corpus"], row["method"], row["clip"]) == ("lrs2", "base", "main/1/1")
    assert (row["lse_d"], row["offset"], row["mouth_psnr"]) == (6.5, -1, None)
    assert (row["wer"], row["cer"]) == (50.0, None)  # no characters: no rate
    assert (row["hypothesis"], row["hypothesis_right"]) == ("bin red", "10")
    assert clip_row(SCORE | {"hypothesis": None}, "lrs2", "base")["hypothesis_right"] is None


def test_the_third_observer_has_its_rates_and_words() -> None:
    row = clip_row(SCORE | {"wer3_edits": 2, "wer3_free_edits": 0, "wer3_free_hypothesis": "bin blue"}, "lrs2", "base")
    assert (row["wer3"], row["wer3_free"]) == (100.0, 0.0)
    assert (row["wer3_free_hypothesis_right"], row["wer3_hypothesis"]) == ("11", None)
    assert [column["name"] for column in clip_table([row])["columns"]][-3:] == [
        "wer3",
        "wer3_free",
        "wer3_free_hypothesis",
    ]


def test_columns_in_which_nothing_was_measured_are_left_out() -> None:
    rows = [clip_row(SCORE, None, "generated"), clip_row(SCORE | {"ssim": 0.95}, None, "generated")]
    table = clip_table(rows)
    names = [column["name"] for column in table["columns"]]
    assert names == [
        "method",
        "clip",
        "hypothesis",
        "lse_c",
        "lse_d",
        "offset",
        "n_windows",
        "ssim",
        "frame_psnr",
        "wer",
    ]
    assert [row[table["names"].index("ssim")] for row in table["rows"]] == [None, 0.95]
    assert table["sort"] == "lse_c"
    unheard = [clip_row(SCORE | {"lse_c": None, "psnr": 30.0, "mouth_psnr": 25.0}, None, "generated")]
    assert clip_table(unheard)["sort"] == "mouth_psnr"
    assert "frame_psnr" not in clip_table(unheard)["names"]  # that of faces says more


def test_real_videos_are_encoded_for_browsers_and_generated_ones_taken_as_they_are(tmp_path: Path) -> None:
    truth = real_videos(tmp_path, 1)
    made = made_videos(truth, tmp_path / "made")
    real = video_view("ground_truth", truth[0], FACE)
    copy = video_view("base", made[0], FACE)
    assert made[0].generated is not None
    assert copy.mp4 == made[0].generated.read_bytes()
    (tmp_path / "again.mp4").write_bytes(real.mp4)
    info = probe(tmp_path / "again.mp4")
    assert info.video is not None
    assert info.video.n_frames == 20
    assert decoded(real.strip_uri, "image/jpeg")[:2] == b"\xff\xd8"


class Page(HTMLParser):
    """Every tag with its attributes, and all text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] and self.tags[-1][0] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


NASTY = "<script>alert('x')</script> & \"quoted\""


SCREENED = {"measured": 48, "repaired": 3, "confidence": 5.0, "offset_within_1": 0.75}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    results = tmp_path_factory.mktemp("corpora")
    metrics = {
        "lrs2": {"clips": 50, "kept": 49, "keep_rate": 0.98, "hours": 0.5, "rejected": {"no_face": 1}},
        "lrs3": {"clips": 5, "kept": 5, "keep_rate": 1.0, "hours": 0.1, "rejected": {}},
    }
    for name, found in metrics.items():
        screening = SCREENED if name == "lrs2" else {"measured": 0, "repaired": 0}
        (results / f"{name}.json").write_text(json.dumps(found | {"screening": screening}))
        (results / name).mkdir()
        (results / name / "funnel.csv").write_text("step,clips\nlisted,50\nface,49\npacked,49\n")
        counts = (12, 36, 0) if name == "lrs2" else (0, 0, 0)
        rows = [f"{offset},{count}\n" for offset, count in zip((-1, 0, 1), counts, strict=True)]
        (results / name / "offsets.csv").write_text("offset,clips\n" + "".join(rows))
        (results / name / "face_sizes.csv").write_text("width_px,clips\n64,49\n")
    curves = results / "curves.csv"
    curves.write_text("step,loss\n0,1\n10,0.5\n")
    video = VideoView("base", b"film", face_strip(waves(4, 0)[:, :32, :32]), (0.25, 0.5, 0.5, 0.25))
    clip = SCORE | {"id": "main/1/<b>", "reference": NASTY, "hypothesis": "bin </script>"}
    scores = {("lrs2", name): pd.DataFrame([clip]) for name in ("ground_truth", "conv", "base")}
    cells = method_table(1, {"base": {"lrs2": {"lse_c": {"value": 8.0, "low": 7.0, "high": 9.0, "n": 40}}}})
    both = {"base": 1.0, "talklip": 0.5}
    planted = {name: pd.DataFrame([{"id": f"{n}", "lse_c": n + lead} for n in range(9)]) for name, lead in both.items()}
    ledger = to_json(check_claims(lambda name, corpus: planted.get(name), {"methods": {}}), "demo")
    return render(
        title="report",
        scale="demo",
        variant="base",
        variant_row="synctalklip",
        about=NASTY,
        tables=[
            {
                "heading": "Table 1",
                "caption": caption(1, Setting(scale="demo", synthetic=True, common_start=True)),
                "rows": table_rows(cells),
            }
        ],
        checks=sanity_checks({"lrs2": figures()}, {"base": {"lrs2": figures(lse_c=0.5)}}),
        corpora=[corpus_view(path) for path in sorted(results.glob("*.json"))],
        clips=[ClipView("lrs2", "main/1/<b>", NASTY, [video, replace(video, method="conv")])],
        scores=scores,
        claims=ledger,
        clusters={"purity": [("it1", 0.25), ("it2", 0.5)]},
        probe=[
            {"units": "MFCC", "n_units": 64, "used": 46.4, "phone_purity": 0.5945, "cluster_purity": 0.3, "pnmi": 0.56}
        ],
        curves=read_curves("train/base", curves),
    )


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_claims_are_counted_and_listed(page: str) -> None:
    # base leads TalkLip by LSE-C on both corpora
    assert "<b>2</b> holds" in page
    assert "<b>58</b> not run" in page
    assert "c02, table 1, §4.4" in page
    assert "+0.5<small>+0.5 to +0.5</small>" in page


def test_the_page_needs_no_other_file(page: str) -> None:
    tags = Page(page).tags
    sources = [attributes[name] for _, attributes in tags for name in ("src", "href", "srcset", "poster", "data")
               if name in attributes]  # fmt: skip
    assert all(source is not None and source.startswith("#") for source in sources)
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert {str(source)[1:] for source in sources} <= ids
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _ in tags}
    assert not re.search(r"https?://|url\(|@import|fetch\(|import\(", page)
    assert page.lower().startswith("<!doctype html>")
    assert page.count("<html") == page.count("</html>") == 1


def test_videos_and_strips_are_inside(page: str) -> None:
    data = data_of(page)
    (clip,) = data["clips"]
    assert [video["method"] for video in clip["videos"]] == ["base", "conv"]
    assert [base64.b64decode(video["mp4"]) for video in clip["videos"]] == [b"film"] * 2
    assert decoded(clip["videos"][0]["strip"], "image/jpeg")[:2] == b"\xff\xd8"
    assert clip["videos"][0]["mouth"] == [0.25, 0.5, 0.5, 0.25]
    assert data["methods"] == ["ground_truth", "conv", "base"]
    assert data["shown"] == ["ground_truth", "base", "conv"]  # the truth and the variant before others


def test_offsets_and_windows_are_charted_for_each_method(page: str) -> None:
    labels = [tag.get("aria-label") for _, tag in Page(page).tags]
    assert {f"{name}: -1: 1" for name in ("ground_truth", "conv", "base")} <= set(labels)
    assert Page(page).text.count("1 clips, 20 windows, 20 to 20 a clip") == 3


def test_corpora_are_charted_as_they_are_plotted(page: str) -> None:
    text = Page(page).text
    assert "lrs2 50 49 98.0 % 0.500 48 75.0 % 3 no_face 1" in text
    assert "lrs3 5 5 100.0 % 0.100 0 – 0 none" in text
    assert "clips left after each step listed 50 face 49 packed 49" in text
    assert text.count("nothing was measured") == 1  # of lrs3's offsets; its faces have a width
    tags = Page(page).tags
    heights = [
        tag["style"] for name, tag in tags if name == "i" and (tag.get("title") or "").startswith(("-1: 12", "0: 36"))
    ]
    assert heights == ["height:33.33%", "height:100.00%"]
    assert "lrs2, offsets: -1: 12, 0: 36" in [tag.get("aria-label") for _, tag in tags]


def test_bars_are_as_long_as_their_share_of_the_longest(tmp_path: Path) -> None:
    (tmp_path / "plot.csv").write_text("step,clips\na,8\nb,2\nc,0\n")
    assert read_bars(tmp_path / "plot.csv") == [Bar("a", 8, 1.0), Bar("b", 2, 0.25), Bar("c", 0, 0.0)]
    (tmp_path / "plot.csv").write_text("step,clips\na,0\n")
    assert read_bars(tmp_path / "plot.csv") == [Bar("a", 0, 0.0)]
    (tmp_path / "plot.csv").write_text("step,clips\n")
    assert read_bars(tmp_path / "plot.csv") == []


def test_text_is_escaped(page: str) -> None:
    parsed = Page(page)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 2  # the data and the page's own
    assert parsed.text.count(NASTY) == 1
    (clip,) = data_of(page)["clips"]
    assert (clip["id"], clip["transcript"]) == ("main/1/<b>", NASTY)
    assert page.count("</script>") == 2


def test_the_page_says_what_was_measured(page: str) -> None:
    text = Page(page).text
    for words in (
        "scale `demo`", "8.00 7.00 – 9.00 paper 9.29", "not run", "98.0 %", "no_face 1", "purity it1 0.25 it2 0.5",
        "0.50 against 1.00 no", "40.0 % yes",
    ):  # fmt: skip
        assert words in text
    rows = {attributes.get("class", "") for tag, attributes in Page(page).tags if tag == "tr"}
    assert {"variant", "unrun"} <= {name for row in rows for name in (row or "").split()}
