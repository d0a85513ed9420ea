"""What `--json` prints of the study: one JSON value on the standard output, whatever else is said."""

from __future__ import annotations

import json
from pathlib import Path

from study.small_study import CLIPS, METHODS, answers_of, write_folders
from typer.testing import CliRunner, Result

from synctalk.cli.app import app
from synctalk.study.records import Key, read_key


def study(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)], catch_exceptions=False)


def small(root: Path, *more: object) -> Result:
    folders = write_folders(root / "videos")
    methods = [word for name, folder in folders.items() for word in ("--method", f"{name}={folder}")]
    sizes = ["--videos", len(METHODS) * len(CLIPS), "--raters", 3, "--overlap", 2, "--size", 96, "--crf", 30]
    return study("build", "-o", root / "study", "--key", root / "key.json", *methods, *sizes, *more)


def answered(root: Path, key: Key, raters: list[str]) -> None:
    """Answers of these raters: the last method in the alphabet is rated 5 for synchronisation, all else 2."""
    (root / "answers").mkdir()
    last = max(METHODS)
    for rater in raters:
        rated = answers_of(key, rater, lambda method, _, question: 5 if (method, question) == (last, "sync") else 2)
        (root / "answers" / f"{rater}.json").write_text(json.dumps(rated), encoding="utf-8")


def test_build_and_collect_print_one_json_value_each(tmp_path: Path) -> None:
    done = small(tmp_path, "--json")
    assert done.exit_code == 0
    shown = json.loads(done.stdout)
    key = read_key(tmp_path / "key.json")
    n_videos = len(METHODS) * len(CLIPS)
    assert shown.pop("links") != shown["key"]
    assert shown == {
        "videos": n_videos,
        "methods": sorted(METHODS),
        "videos_of_rater": sorted({len(names) for names in key.raters.values()}),
        "out": str(tmp_path / "study"),
        "key": str(tmp_path / "key.json"),
    }
    raters = list(key.raters)
    answered(tmp_path, key, raters)
    collected = study("collect", tmp_path / "answers", "--key", tmp_path / "key.json", "-o", tmp_path / "out", "--json")
    assert collected.exit_code == 0
    summary = json.loads(collected.stdout)
    assert summary == json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert (summary["n_raters"], summary["n_videos"], summary["n_ratings"]) == (3, n_videos, 2 * n_videos)
    means = {method: figures["sync_mean"]["value"] for method, figures in summary["methods"].items()}
    assert means == {method: 5.0 if method == max(METHODS) else 2.0 for method in METHODS}
    # everybody agrees
    assert summary["agreement"]["sync"] == 1.0


def test_findings_go_to_the_standard_error_and_leave_the_json_alone(tmp_path: Path) -> None:
    small(tmp_path)
    key = read_key(tmp_path / "key.json")
    answered(tmp_path, key, list(key.raters)[1:])
    words = ("collect", tmp_path / "answers", "--key", tmp_path / "key.json", "-o", tmp_path / "out", "--json")
    done = study(*words)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["n_raters"] == 2
    missing = next(iter(key.raters))
    assert f"{missing}: missing_rater" in done.stderr
    # strict: the value is printed all the same, and the status says that something is wrong
    strict = CliRunner().invoke(app, ["study", *map(str, words), "--strict"])
    assert strict.exit_code != 0
    assert json.loads(strict.stdout)["n_raters"] == 2
