"""Answers: whatever is wrong with them is named, and figures have known values."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from study.small_study import answers_of, signed, small_key
from typer.testing import CliRunner

from synctalk.cli.app import app
from synctalk.errors import UserError
from synctalk.study.answers import AnswerFinding, Fault, Rating, checksum, collect_ratings
from synctalk.study.collect import collect_study, rating_intervals, summarise
from synctalk.study.records import Key, assignment_digest, write_key
from synctalk.tables.table import study_caption, study_table

KEY = small_key(
    {
        "01-aaa": [("base", "x"), ("ground_truth", "y")],
        "02-bbb": [("ground_truth", "x"), ("base", "y")],
    }
)
FIRST, SECOND = KEY.raters["01-aaa"]
OTHER = KEY.raters["02-bbb"][0]


def three(method: str, clip: str, question: str) -> int:
    return 3


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def both(folder: Path) -> list[Path]:
    return [write(folder, f"{rater}.json", answers_of(KEY, rater, three)) for rater in KEY.raters]


def test_good_answers_have_no_findings(tmp_path: Path) -> None:
    ratings, findings = collect_ratings(both(tmp_path), KEY)
    assert findings == []
    assert len(ratings) == 4
    assert ratings[0] == Rating(
        "01-aaa", FIRST, "base", "x", {"intelligibility": 3, "sync": 3, "authenticity": 3}, 1, 9.0
    )


def first_row(**changes: Any) -> dict[str, Any]:
    """Answers of the first rater, the first answer changed, and signed."""
    answers = answers_of(KEY, "01-aaa", three)
    answers["answers"][0] |= changes
    return signed(answers)


def with_rows(*rows: dict[str, Any]) -> dict[str, Any]:
    answers = answers_of(KEY, "01-aaa", three)
    return signed(answers | {"answers": [*answers["answers"], *rows]})


def row(video: str, score: int) -> dict[str, Any]:
    return {"video": video, "intelligibility": score, "sync": score, "authenticity": score, "plays": 1, "seconds": 1}


def reordered() -> dict[str, Any]:
    answers = answers_of(KEY, "01-aaa", three)
    return signed(answers | {"assignment": assignment_digest(KEY.study, "01-aaa", [SECOND, FIRST])})


WRONG: list[tuple[object, Fault, str, int]] = [
    ("{", Fault.UNREADABLE, "no JSON", 0),
    ([1], Fault.UNREADABLE, "no file of answers", 0),
    ({"study": KEY.study}, Fault.UNREADABLE, "no file of answers", 0),
    (answers_of(KEY, "01-aaa", three) | {"study": "f" * 64}, Fault.OTHER_STUDY, "study ffffffffffff", 0),
    (answers_of(KEY, "01-aaa", three) | {"rater": "09-zzz"}, Fault.UNKNOWN_RATER, "'09-zzz' is no code", 0),
    (reordered(), Fault.CHANGED_ASSIGNMENT, "not the order, that 01-aaa was given", 0),
    (first_row() | {"rater": "02-bbb"}, Fault.CHANGED_ASSIGNMENT, "that 02-bbb was given", 0),
    (first_row() | {"answers": [row(FIRST, 5), row(SECOND, 5)]}, Fault.EDITED, "not those that the page saved", 0),
    (first_row(video="feed"), Fault.UNKNOWN_VIDEO, "'feed' is no video of this study", 3),
    (first_row(video=OTHER), Fault.WRONG_RATER, f"{OTHER} was given to other raters, not to 01-aaa", 3),
    (first_row(sync=6), Fault.OUT_OF_RANGE, f"{FIRST} has sync = 6, not a whole number from 1 to 5", 5),
    (first_row(sync=0), Fault.OUT_OF_RANGE, "sync = 0", 5),
    (first_row(sync=2.5), Fault.OUT_OF_RANGE, "sync = 2.5", 5),
    (first_row(sync="4"), Fault.OUT_OF_RANGE, "sync = '4'", 5),
    (first_row(sync=True), Fault.OUT_OF_RANGE, "sync = True", 5),
    (first_row(sync=None), Fault.NO_SCORE, f"{FIRST} has no score of sync", 5),
    (first_row(failed=True), Fault.NOT_PLAYED, f"{FIRST} did not play", 3),
    (with_rows(row(FIRST, 3)), Fault.DOUBLE_VIDEO, "is answered 2 times, alike", 6),
    (with_rows(row(FIRST, 4)), Fault.DOUBLE_VIDEO, "is answered 2 times, differently", 3),
]  # what is in the file, its fault, what is said of it, and how many of its six scores count all the same


@pytest.mark.parametrize(("content", "fault", "detail", "n_scores"), WRONG)
def test_what_is_wrong_is_named_and_only_that_is_left_out(
    tmp_path: Path, content: object, fault: Fault, detail: str, n_scores: int
) -> None:
    good = write(tmp_path, "good.json", answers_of(KEY, "02-bbb", three))
    ratings, findings = collect_ratings([write(tmp_path, "odd.json", content), good], KEY)
    (finding,) = [finding for finding in findings if finding.fault is fault]
    assert finding.where == "odd.json"
    assert detail in finding.detail
    assert "\n" not in finding.line
    assert sum(len(rating.scores) for rating in ratings if rating.rater == "01-aaa") == n_scores
    assert sum(len(rating.scores) for rating in ratings if rating.rater == "02-bbb") == 6
    # a rater whose file is left out is missing then, as is a video whose answer was given to another
    rest = {finding.fault for finding in findings} - {fault}
    assert rest <= {Fault.MISSING_RATER, Fault.MISSING_VIDEO}
    assert (Fault.MISSING_RATER in rest) == (n_scores == 0)


def test_every_fault_has_a_test() -> None:
    elsewhere = {Fault.DOUBLE_RATER, Fault.MISSING_VIDEO, Fault.MISSING_RATER}
    assert {fault for _, fault, _, _ in WRONG} | elsewhere == set(Fault)


def test_answers_that_are_not_there_yet_are_named(tmp_path: Path) -> None:
    answers = answers_of(KEY, "01-aaa", three)
    half = signed(answers | {"answers": answers["answers"][:1], "complete": False})
    ratings, findings = collect_ratings([write(tmp_path, "half.json", half)], KEY)
    assert [rating.video for rating in ratings] == [FIRST]
    assert [(f.where, f.fault) for f in findings] == [
        ("half.json", Fault.MISSING_VIDEO),
        ("02-bbb", Fault.MISSING_RATER),
    ]
    assert SECOND in findings[0].detail


@pytest.mark.parametrize("newer_first", [True, False])
def test_of_two_files_of_a_rater_the_one_saved_last_counts(tmp_path: Path, newer_first: bool) -> None:
    old = answers_of(KEY, "01-aaa", lambda *_: 1, saved="2026-01-01T10:00:00.000Z")
    new = answers_of(KEY, "01-aaa", lambda *_: 5, saved="2026-01-01T10:00:01.000Z")
    paths = [write(tmp_path, "old.json", old), write(tmp_path, "new.json", new)]
    ratings, findings = collect_ratings(paths[::-1] if newer_first else paths, KEY)
    assert {score for rating in ratings for score in rating.scores.values()} == {5}
    (double,) = [finding for finding in findings if finding.fault is Fault.DOUBLE_RATER]
    assert double.line == (
        "old.json: double_rater: 01-aaa has answered in new.json too, with other scores; "
        "the file that was saved last counts"
    )


def test_the_same_file_twice_is_counted_once(tmp_path: Path) -> None:
    (path, other) = both(tmp_path)
    ratings, findings = collect_ratings([path, path, other], KEY)
    assert len(ratings) == 4
    assert [finding.fault for finding in findings] == [Fault.DOUBLE_RATER]
    assert "the same scores" in findings[0].detail


def test_the_checksum_is_fnv_1a() -> None:
    # published vectors of FNV-1a, 32 bits: "" and "foobar"; here the text is "foobar" with the separators taken in
    answers = {"study": "", "rater": "", "assignment": "", "answers": []}
    total = 0x811C9DC5
    for byte in b";;":
        total = ((total ^ byte) * 16777619) & 0xFFFFFFFF
    assert checksum(answers) == f"{total:08x}"
    answers = {"study": "s", "rater": "r", "assignment": "a", "answers": [{"video": "v", "sync": 3}]}
    total = 0x811C9DC5
    for byte in b"s;r;a;v,-,3,-":
        total = ((total ^ byte) * 16777619) & 0xFFFFFFFF
    assert checksum(answers) == f"{total:08x}"


def test_the_interval_of_raters_who_are_all_of_one_mind_has_no_width() -> None:
    mean, deviation = rating_intervals(["a", "a", "b"], ["x", "y", "z"], [4, 4, 4])
    assert (mean.value, mean.low, mean.high, mean.n) == (4.0, 4.0, 4.0, 3)
    assert (deviation.value, deviation.low, deviation.high) == (0.0, 0.0, 0.0)


def test_the_interval_of_two_raters_at_the_ends() -> None:
    # resampled raters: both low (1/4), one of each (1/2), both high (1/4): 2.5 % and 97.5 % are the ends
    mean, deviation = rating_intervals(["a"] * 4 + ["b"] * 4, list("stuvwxyz"), [1] * 4 + [5] * 4)
    assert (mean.value, mean.low, mean.high, mean.n) == (3.0, 1.0, 5.0, 8)
    assert deviation.value == pytest.approx((8 * 2**2 / 7) ** 0.5)
    assert deviation.low == 0.0


def test_mean_and_deviation_by_hand() -> None:
    # 1, 2, 3, 4, 5: sample deviation sqrt(10 / 4)
    mean, deviation = rating_intervals(list("abcde"), list("vwxyz"), [1, 2, 3, 4, 5])
    assert mean.value == 3.0
    assert deviation.value == pytest.approx(2.5**0.5)
    assert deviation.low < deviation.value


def test_the_interval_over_independent_scores_is_that_of_the_mean() -> None:
    # 400 raters with one score each of variance 2 (1 to 5 evenly): 1.96 * sqrt(2 / 400) = 0.139
    scores = [1, 2, 3, 4, 5] * 80
    names = [str(number) for number in range(400)]
    mean, _ = rating_intervals(names, names, scores)
    assert mean.high - mean.value == pytest.approx(0.139, rel=0.1)
    assert mean.value - mean.low == pytest.approx(0.139, rel=0.1)


def test_scores_that_hang_together_by_rater_or_by_video_widen_the_interval() -> None:
    scores = [1, 2, 3, 4, 5] * 8
    alone = [str(number) for number in range(40)]
    grouped = [str(score) for score in scores]
    apart, _ = rating_intervals(alone, alone, scores)
    by_rater, _ = rating_intervals(grouped, alone, scores)
    by_video, _ = rating_intervals(alone, grouped, scores)
    assert by_rater.high - by_rater.low > 2 * (apart.high - apart.low)
    assert (by_video.low, by_video.high) == (by_rater.low, by_rater.high)


def rating(rater: str, method: str, clip: str, **scores: int) -> Rating:
    return Rating(rater, f"{method}-{clip}", method, clip, scores, 1, 1.0)


def test_the_summary_counts_and_agrees() -> None:
    ratings = [
        rating("01-aaa", "base", "x", intelligibility=2, sync=4),
        rating("02-bbb", "base", "x", intelligibility=2, sync=1),
        rating("01-aaa", "ground_truth", "x", intelligibility=5, sync=1),
        rating("02-bbb", "ground_truth", "x", intelligibility=5, sync=4),
    ]
    findings = [AnswerFinding("f", Fault.NO_SCORE, "", ""), AnswerFinding("g", Fault.NO_SCORE, "", "")]
    summary = summarise(ratings, findings, KEY)
    assert summary["study"] == KEY.study
    assert (summary["n_ratings"], summary["n_videos"], summary["n_raters"]) == (4, 2, 2)
    assert summary["methods"]["base"]["intelligibility_mean"] == {"value": 2.0, "low": 2.0, "high": 2.0, "n": 1}
    assert summary["methods"]["base"]["sync_std"]["value"] == pytest.approx(4.5**0.5)
    assert summary["methods"].keys() == {"base", "ground_truth"}
    assert summary["agreement"]["intelligibility"] == 1.0
    assert summary["agreement"]["sync"] == pytest.approx(-0.5)
    assert summary["agreement"]["authenticity"] is None
    assert summary["findings"] == {"no_score": 2}


def collected(folder: Path, *arguments: str) -> Any:
    write_key(folder / "key.json", KEY)
    return CliRunner().invoke(
        app,
        ["study", "collect", str(folder / "answers"), "--key", str(folder / "key.json"), "-o", str(folder / "out"),
         *arguments],
    )  # fmt: skip


def test_collect_writes_table_5_with_the_papers_figures_beside(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    both(tmp_path / "answers")
    done = collected(tmp_path)
    assert done.exit_code == 0
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "findings.csv", "ratings.csv", "summary.json", "table5.csv", "table5.md",
    ]  # fmt: skip
    text = (out / "table5.md").read_text(encoding="utf-8")
    assert "| synctalklip | 2 | 3.00 [3.00, 3.00] (3.27, −0.27) | 0.00 [0.00, 0.00] (0.76, −0.76) |" in text
    assert "| wav2lip |  | not run (2.43) | not run (1.12) | not run (4.54) |" in text
    lines = (out / "table5.csv").read_text(encoding="utf-8").splitlines()
    assert "study,synctalklip,sync_mean,3.0000,3.0000,3.0000,2,4.4400,-1.4400" in lines
    with (out / "ratings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "rater": "01-aaa", "video": FIRST, "method": "base", "clip": "x", "intelligibility": "3", "sync": "3",
        "authenticity": "3", "plays": "1", "seconds": "9.0",
    }  # fmt: skip
    assert (out / "findings.csv").read_text(encoding="utf-8") == "where,fault,detail,effect\n"


def test_strict_fails_where_anything_is_wrong_and_lists_it(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    write(tmp_path / "answers", "one.json", answers_of(KEY, "01-aaa", three))
    assert collected(tmp_path).exit_code == 0
    done = collected(tmp_path, "--strict")
    assert isinstance(done.exception, UserError)
    assert "02-bbb: missing_rater" in done.stderr
    assert "02-bbb,missing_rater," in (tmp_path / "out/findings.csv").read_text(encoding="utf-8")


def test_nothing_that_can_be_used_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    write_key(tmp_path / "key.json", KEY)
    path = write(tmp_path, "odd.json", "{")
    with pytest.raises(UserError, match=r"hold nothing that can be used \(odd\.json unreadable; 01-aaa missing_rater"):
        collect_study([path], tmp_path / "key.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="none: is not there"):
        collect_study([tmp_path / "none"], tmp_path / "key.json", tmp_path / "out")


def test_answers_fit_one_key_only(tmp_path: Path) -> None:
    changed = Key(KEY.secret, KEY.seed, KEY.overlap, KEY.origin, dict(KEY.videos), dict(reversed(KEY.raters.items())))
    assert changed.study == KEY.study  # the order of raters is no part of it
    swapped = dict(zip(KEY.videos, reversed(KEY.videos.values()), strict=True))
    forged = Key(KEY.secret, KEY.seed, KEY.overlap, KEY.origin, swapped, KEY.raters)
    _, findings = collect_ratings(both(tmp_path), forged)
    assert [finding.fault for finding in findings[:2]] == [Fault.OTHER_STUDY] * 2


def test_table_5_has_the_papers_rows_then_whatever_else_was_rated() -> None:
    nothing = study_table({"methods": {}})
    assert list(dict.fromkeys(cell.method for cell in nothing)) == ["wav2lip", "talklip", "synctalklip", "ground_truth"]
    assert all(cell.ours is None and cell.paper is not None for cell in nothing)
    figures = {"sync_mean": {"value": 4.0, "low": 3.5, "high": 4.5, "n": 25}}
    cells = study_table({"methods": {"wav2lip": figures, "conv": figures, "newlip": figures, "base": figures}})
    assert list(dict.fromkeys(cell.method for cell in cells))[4:] == ["synctalklip_conv", "newlip"]
    ours = {cell.method: cell for cell in cells if cell.ours is not None}
    assert ours.keys() == {"wav2lip", "synctalklip", "synctalklip_conv", "newlip"}
    assert ours["wav2lip"].difference == pytest.approx(-0.54)
    assert ours["newlip"].paper is None


def test_the_caption_is_of_the_videos_that_were_rated() -> None:
    assert "No study has been collected" in study_caption({"methods": {}})
    ratings = [rating(rater, "base", clip, sync=4 if clip == "x" else 1) for rater in KEY.raters for clip in "xy"]
    summary = summarise(ratings, [], KEY)
    brought = study_caption(summary)
    assert "videos that the user brought" in brought
    assert "Krippendorff's α (ordinal): sync 1.00." in brought
    made = study_caption(summary | {"scale": "demo", "synthetic": True})
    assert "scale `demo`, synthetic look-alikes" in made
    assert "\n" not in made
