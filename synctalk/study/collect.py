"""Ratings -> mean and deviation of each method with 95 % intervals, how far raters agree, and table 5."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synctalk.errors import UserError
from synctalk.evaluation.bootstrap import N_RESAMPLES, Interval
from synctalk.runtime.jobs import write_json
from synctalk.study.agreement import ordinal_alpha
from synctalk.study.answers import AnswerFinding, Rating, collect_ratings
from synctalk.study.records import QUESTIONS, Key, read_key
from synctalk.tables.table import study_caption, study_table, to_csv, to_markdown


def _moments(groups: Sequence[str], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count, sum and sum of squares of the scores of each group, [G, 3]."""
    _, indices = np.unique(np.asarray(groups), return_inverse=True)
    weights = (np.ones(len(scores)), scores, scores**2)
    return np.stack([np.bincount(indices, weight) for weight in weights], axis=1)


def _mean_and_deviation(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and sample standard deviation from count, sum and sum of squares, [..., 3] -> [..., 2]."""
    n, total, squares = moments[..., 0], moments[..., 1], moments[..., 2]
    variance = np.maximum(squares - total**2 / n, 0) / np.maximum(n - 1, 1)
    return np.stack([total / n, np.sqrt(variance)], axis=-1)


def rating_intervals(
    raters: Sequence[str], videos: Sequence[str], scores: Sequence[int], seed: int = 0
) -> tuple[Interval, Interval]:
    """Mean and standard deviation of a method's scores with 95 % bootstrap intervals; `n` is the number of videos.

    Scores of one rater hang together, and so do scores of one video. Whole raters are resampled, then whole videos,
    and the interval spans both. Where each video has one rater, as in the paper, the former is all there is.

    Args:
        raters: of each score, [n].
        videos: of each score, [n].
        scores: [n], at least one.
        seed: of the resampling.
    """
    values = np.asarray(scores, np.float64)
    ends = []
    for groups in (raters, videos):
        moments = _moments(groups, values)
        picks = np.random.default_rng(seed).integers(0, len(moments), size=(N_RESAMPLES, len(moments)))
        ends.append(np.percentile(_mean_and_deviation(moments[picks].sum(1)), [2.5, 97.5], axis=0))
    low, high = np.minimum(*ends)[0], np.maximum(*ends)[1]
    value = _mean_and_deviation(_moments(raters, values).sum(0))
    n = len(set(videos))
    mean, deviation = (Interval(float(value[k]), float(low[k]), float(high[k]), n) for k in range(2))
    return mean, deviation


def summarise(ratings: Sequence[Rating], findings: Sequence[AnswerFinding], key: Key) -> dict[str, Any]:
    """The summary that table 5 is made of: whose videos, how many, figures by method, agreement by question."""
    methods: dict[str, dict[str, Any]] = {}
    agreement = {}
    for question in QUESTIONS:
        given = [rating for rating in ratings if question.name in rating.scores]
        for method in sorted({rating.method for rating in given}):
            own = [rating for rating in given if rating.method == method]
            mean, deviation = rating_intervals(
                [rating.rater for rating in own],
                [rating.video for rating in own],
                [rating.scores[question.name] for rating in own],
            )
            figures = methods.setdefault(method, {})
            figures[f"{question.name}_mean"] = asdict(mean)
            if len(own) > 1:
                figures[f"{question.name}_std"] = asdict(deviation)
        by_video = defaultdict(list)
        for rating in given:
            by_video[rating.video].append(rating.scores[question.name])
        agreement[question.name] = ordinal_alpha(by_video.values())
    return {
        "study": key.study,
        **asdict(key.origin),
        "overlap": key.overlap,
        "n_ratings": len(ratings),
        "n_videos": len({rating.video for rating in ratings}),
        "n_raters": len({rating.rater for rating in ratings}),
        "methods": methods,
        "agreement": agreement,
        "findings": dict(Counter(str(finding.fault) for finding in findings)),
    }


def _write_rows(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def answer_files(given: Sequence[Path]) -> list[Path]:
    """The files that were named, and the .json files of the folders that were.

    Raises:
        UserError: a path is not there, or there is no file.
    """
    paths: list[Path] = []
    for path in given:
        if not path.exists():
            raise UserError(path, "is not there", "give files of answers, or the folder of them")
        paths += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not paths:
        raise UserError(", ".join(map(str, given)), "holds no .json file", "give files of answers")
    return paths


def collect_study(answers: Sequence[Path], key_path: Path, out: Path) -> tuple[dict[str, Any], list[AnswerFinding]]:
    """Check and merge answers; write summary.json, table5.csv, table5.md, ratings.csv and findings.csv to `out`.

    Raises:
        UserError: the key was changed, or no answer can be used; nothing is written then.
    """
    key = read_key(key_path)
    ratings, findings = collect_ratings(answer_files(answers), key)
    if not ratings:
        lines = "; ".join(dict.fromkeys(f"{finding.where} {finding.fault}" for finding in findings[:5]))
        raise UserError("the answers", f"hold nothing that can be used ({lines})", "give answers to this study")
    summary = summarise(ratings, findings, key)
    out.mkdir(parents=True, exist_ok=True)
    names = [question.name for question in QUESTIONS]
    rows = [
        [r.rater, r.video, r.method, r.clip, *(r.scores.get(name, "") for name in names), r.plays, r.seconds]
        for r in ratings
    ]
    _write_rows(out / "ratings.csv", ["rater", "video", "method", "clip", *names, "plays", "seconds"], rows)
    faults = [[finding.where, str(finding.fault), finding.detail, finding.effect] for finding in findings]
    _write_rows(out / "findings.csv", ["where", "fault", "detail", "effect"], faults)
    cells = study_table(summary)
    (out / "table5.csv").write_text(to_csv(cells), encoding="utf-8")
    (out / "table5.md").write_text(to_markdown(cells, study_caption(summary)), encoding="utf-8")
    write_json(out / "summary.json", summary)
    return summary, findings
