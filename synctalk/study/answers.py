"""Answers of raters: what a file of them must hold, and every way in which it may not.

Nothing is dropped in silence: each thing that is wrong becomes a `AnswerFinding`, which says what was done about it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from synctalk.study.records import QUESTIONS, SCALE, Key, assignment_digest

Answers = dict[str, Any]
"""A file of answers, as the page writes it: study, rater, assignment, saved, complete, answers, checksum."""


class Fault(StrEnum):
    """What can be wrong with answers. The first six leave out the whole file, or all but one of a rater's files."""

    UNREADABLE = "unreadable"
    OTHER_STUDY = "other_study"
    UNKNOWN_RATER = "unknown_rater"
    CHANGED_ASSIGNMENT = "changed_assignment"
    EDITED = "edited"
    DOUBLE_RATER = "double_rater"
    UNKNOWN_VIDEO = "unknown_video"
    WRONG_RATER = "wrong_rater"
    DOUBLE_VIDEO = "double_video"
    OUT_OF_RANGE = "out_of_range"
    NO_SCORE = "no_score"
    NOT_PLAYED = "not_played"
    MISSING_VIDEO = "missing_video"
    MISSING_RATER = "missing_rater"


@dataclass(frozen=True)
class AnswerFinding:
    """One thing that is wrong: with which file or rater, what, and what was done."""

    where: str
    fault: Fault
    detail: str
    effect: str

    @property
    def line(self) -> str:
        return f"{self.where}: {self.fault}: {self.detail}; {self.effect}"


@dataclass(frozen=True)
class Rating:
    """A rater's scores of one video, by question; a question whose score was left out is not in it."""

    rater: str
    video: str
    method: str
    clip: str
    scores: dict[str, int]
    plays: int
    seconds: float


def _said(row: Mapping[str, Any]) -> list[Any]:
    """The scores of an answer as they stand in the file, None where there is none."""
    return [row.get(question.name) for question in QUESTIONS]


def checksum(answers: Mapping[str, Any]) -> str:
    """FNV-1a (32 bits) over what a file says, as the page computes it. It notices a slip or a casual edit; who means to
    deceive can compute it too.
    """
    rows = [
        ",".join("-" if value is None else str(value) for value in (row["video"], *_said(row)))
        for row in answers["answers"]
    ]
    total = 0x811C9DC5
    for byte in ";".join([answers["study"], answers["rater"], answers["assignment"], *rows]).encode():
        total = (total ^ byte) * 0x01000193 % 2**32
    return f"{total:08x}"


def well_formed(value: Any) -> bool:  # noqa: ANN401  # anything that JSON can say
    """Whether a JSON value has the parts of a file of answers, of the right kinds; what they say is not looked at."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in ("study", "rater", "assignment", "saved", "checksum"))
        and isinstance(value.get("answers"), list)
        and all(isinstance(row, dict) and isinstance(row.get("video"), str) for row in value["answers"])
    )


def refusal(answers: Answers, key: Key) -> tuple[Fault, str] | None:
    """Why a well-formed file cannot be used at all; None where it can."""
    rater = answers["rater"]
    if answers["study"] != key.study:
        return Fault.OTHER_STUDY, f"study {answers['study'][:12]}, the key is of {key.study[:12]}"
    if rater not in key.raters:
        return Fault.UNKNOWN_RATER, f"{rater!r} is no code of this study"
    if answers["assignment"] != assignment_digest(key.study, rater, key.raters[rater]):
        return Fault.CHANGED_ASSIGNMENT, f"these are not the videos, or not the order, that {rater} was given"
    if answers["checksum"] != checksum(answers):
        return Fault.EDITED, "the scores are not those that the page saved"
    return None


def read_files(paths: Sequence[Path], key: Key) -> tuple[dict[str, tuple[str, Answers]], list[AnswerFinding]]:
    """Usable files: rater -> its name and content, of several of one rater the one that was saved last."""
    usable: dict[str, list[tuple[str, Answers]]] = defaultdict(list)
    findings = []
    for path in paths:
        try:
            answers = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            findings.append(
                AnswerFinding(path.name, Fault.UNREADABLE, f"no JSON ({type(error).__name__})", "file left out")
            )
            continue
        if not well_formed(answers):
            findings.append(AnswerFinding(path.name, Fault.UNREADABLE, "no file of answers", "file left out"))
        elif wrong := refusal(answers, key):
            findings.append(AnswerFinding(path.name, *wrong, "file left out"))
        else:
            usable[answers["rater"]].append((path.name, answers))
    taken = {}
    for rater, files in usable.items():
        taken[rater] = max(files, key=lambda file: file[1]["saved"])
        for name, answers in files:
            if answers is not taken[rater][1]:
                same = "the same scores" if answers["checksum"] == taken[rater][1]["checksum"] else "other scores"
                detail = f"{rater} has answered in {taken[rater][0]} too, with {same}"
                findings.append(AnswerFinding(name, Fault.DOUBLE_RATER, detail, "the file that was saved last counts"))
    return taken, findings


def _scores(where: str, row: Mapping[str, Any]) -> tuple[dict[str, int], list[AnswerFinding]]:
    """Scores of one answer that can be used."""
    low, high = SCALE
    scores, findings = {}, []
    for question in QUESTIONS:
        score = row.get(question.name)
        if score is None:
            detail = f"{row['video']} has no score of {question.name}"
            findings.append(AnswerFinding(where, Fault.NO_SCORE, detail, "score left out"))
        elif not isinstance(score, int) or isinstance(score, bool) or not low <= score <= high:
            detail = f"{row['video']} has {question.name} = {score!r}, not a whole number from {low} to {high}"
            findings.append(AnswerFinding(where, Fault.OUT_OF_RANGE, detail, "score left out"))
        else:
            scores[question.name] = score
    return scores, findings


def _number(value: Any) -> float:  # noqa: ANN401  # anything that JSON can say
    return float(value) if isinstance(value, int | float) else 0.0


def rate(where: str, answers: Answers, key: Key) -> tuple[list[Rating], list[AnswerFinding]]:
    """Ratings of one usable file."""
    rater, findings = answers["rater"], []
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in answers["answers"]:
        video = row["video"]
        if video not in key.videos:
            findings.append(
                AnswerFinding(where, Fault.UNKNOWN_VIDEO, f"{video!r} is no video of this study", "answer left out")
            )
        elif video not in key.raters[rater]:
            detail = f"{video} was given to other raters, not to {rater}"
            findings.append(AnswerFinding(where, Fault.WRONG_RATER, detail, "answer left out"))
        else:
            rows[video].append(row)
    ratings = []
    for video in key.raters[rater]:
        given = rows[video]
        if not given:
            findings.append(AnswerFinding(where, Fault.MISSING_VIDEO, f"{video} is not answered", "the others count"))
            continue
        if len(given) > 1:
            same = all(_said(row) == _said(given[0]) for row in given)
            effect = "counted once" if same else "all left out"
            detail = f"{video} is answered {len(given)} times, {'alike' if same else 'differently'}"
            findings.append(AnswerFinding(where, Fault.DOUBLE_VIDEO, detail, effect))
            if not same:
                continue
        row = given[0]
        if row.get("failed") is True:
            findings.append(AnswerFinding(where, Fault.NOT_PLAYED, f"{video} did not play", "no scores"))
            continue
        scores, wrong = _scores(where, row)
        findings += wrong
        if scores:
            shown = key.videos[video]
            plays, seconds = int(_number(row.get("plays"))), _number(row.get("seconds"))
            ratings.append(Rating(rater, video, shown.method, shown.clip, scores, plays, seconds))
    return ratings, findings


def collect_ratings(paths: Sequence[Path], key: Key) -> tuple[list[Rating], list[AnswerFinding]]:
    """All ratings that can be used, in the order of raters and videos, and all that is wrong."""
    files, findings = read_files(paths, key)
    ratings = []
    for rater in key.raters:
        if rater not in files:
            findings.append(AnswerFinding(rater, Fault.MISSING_RATER, "no file that can be used", "the others count"))
            continue
        found, wrong = rate(*files[rater], key)
        ratings += found
        findings += wrong
    return ratings, findings
