"""The report: one HTML file with everything in it, which opens offline in any browser.

Figures with the paper's beside, sanity checks of the judges, keep-rates, learning curves, and clips of every method
side by side.
"""

from __future__ import annotations

import base64
import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from numpy.typing import NDArray

from synctalk.evaluation.pictures import Take, film_frames
from synctalk.faces.crop import crop_faces
from synctalk.media import write_video
from synctalk.section import section
from synctalk.tables.table import HEADINGS, Cell, digits, missing

STRIP_FRAMES = 10
"""Faces of a clip that the strip shows, evenly spread."""

LABEL_WIDTH = 112
"""Pixels of the contact sheet that a method's name takes."""


@section
class ReportParams:
    """The report page (params.yaml: `report`)."""

    clips_per_corpus: int


@dataclass(frozen=True)
class TakeView:
    """One method's take of a clip.

    Attributes:
        method: its name.
        video: data URI.
        strip: faces side by side, RGB [S, 10 S, 3].
        figures: by their headings.
        words: of the hypothesis, each with whether it is right.
    """

    method: str
    video: str
    strip: NDArray[np.uint8]
    figures: dict[str, str]
    words: list[tuple[str, bool]]

    @property
    def strip_uri(self) -> str:
        """The strip as a data URI."""
        return data_uri("image/jpeg", jpeg(self.strip))


@dataclass(frozen=True)
class ClipView:
    """One clip: the truth first, then every method."""

    corpus: str
    id: str
    transcript: str
    takes: list[TakeView]


@dataclass(frozen=True)
class Check:
    """One statement that the figures must bear out, with what was measured."""

    statement: str
    measured: str
    holds: bool


@dataclass(frozen=True)
class Curve:
    """A learning curve: its stage and scalar, its last value, and the points of its SVG polyline in a 100 x 30 box."""

    stage: str
    name: str
    last: float
    points: str


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: what it counts, how many, and its length as a share of the longest."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class CorpusView:
    """A corpus: its metrics, and the charts of what was kept after each step, of offsets and of face sizes."""

    name: str
    figures: Mapping[str, Any]
    steps: list[Bar]
    offsets: list[Bar]
    face_sizes: list[Bar]


def data_uri(kind: str, blob: bytes) -> str:
    """Bytes as a data URI of a MIME type."""
    return f"data:{kind};base64,{base64.b64encode(blob).decode()}"


def face_strip(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Faces [T, S, S, 3], evenly spread over the clip, side by side: [S, 10 S, 3]."""
    chosen = np.linspace(0, len(faces) - 1, STRIP_FRAMES).round().astype(int)
    return np.concatenate(list(faces[chosen]), axis=1)


def contact_sheet(clip: ClipView) -> NDArray[np.uint8]:
    """The strips of all takes of a clip, one below the other, with the methods' names on the left: RGB [H, W, 3]."""
    rows = []
    for take in clip.takes:
        label = np.full((take.strip.shape[0], LABEL_WIDTH, 3), 255, np.uint8)
        cv2.putText(label, take.method, (6, len(label) // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(np.concatenate([label, take.strip], axis=1))
    return np.concatenate(rows)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """An RGB picture [H, W, 3] as JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def marked_words(reference: str, hypothesis: str) -> list[tuple[str, bool]]:
    """Words of the hypothesis; right where they are part of a longest common subsequence with the reference."""
    a, b = reference.split(), hypothesis.split()
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, j in np.ndindex(len(a), len(b)):
        table[i + 1, j + 1] = table[i, j] + 1 if a[i] == b[j] else max(table[i, j + 1], table[i + 1, j])
    right, i, j = set(), len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            right.add(j - 1)
            i, j = i - 1, j - 1
        elif table[i - 1, j] >= table[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return [(word, place in right) for place, word in enumerate(b)]


def take_view(method: str, take: Take, score: Mapping[Any, Any], face_size: int) -> TakeView:
    """A take for the page. Real footage is encoded anew, so that any browser plays it; generated files are taken as
    they are.
    """
    frames, pcm = film_frames(take)
    if take.generated is not None:
        blob = take.generated.read_bytes()
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            write_video(path, frames, audio=pcm, crf=20)
            blob = path.read_bytes()
    shown = {"lse_c": "LSE-C", "lse_d": "LSE-D", "offset": "offset", "psnr": "PSNR", "mouth_psnr": "mouth PSNR"}
    figures = {
        label: f"{score[name]:.2f}".removesuffix(".00") for name, label in shown.items() if pd.notna(score[name])
    }
    return TakeView(
        method=method,
        video=data_uri("video/mp4", blob),
        strip=face_strip(crop_faces(frames, take.sample.boxes[: len(frames)], face_size)),
        figures=figures,
        words=marked_words(score["reference"], score["hypothesis"]),
    )


def choose_clips(scores: pd.DataFrame, count: int) -> list[str]:
    """Clips to show, by LSE-C of the variant: the worst, the best and evenly between, so that none is hand-picked."""
    ordered = scores.sort_values(["lse_c", "id"])["id"].tolist()
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[place] for place in dict.fromkeys(places.tolist())]


def sanity_checks(truth: Mapping[str, Any], methods: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """Do the judges judge, and does the generator speak? From metrics.json of ground truth and of each method."""
    checks = []
    for corpus, real in truth.items():
        wer = next(name for name in real if name.startswith("wer"))
        checks += [
            Check(f"{corpus}: the observer reads real video, WER below 50 %", f"{real[wer]:.1f} %", real[wer] < 50),
            Check(
                f"{corpus}: the sync judge finds the offset within one frame on 90 % of real clips",
                f"{real['offset_within_1']:.0%}",
                real["offset_within_1"] >= 0.9,
            ),
        ]
        for method, figures in methods.items():
            made = figures[corpus]
            checks += [
                Check(
                    f"{corpus}, {method}: the mouth is closer to the truth than the clip's mean mouth",
                    f"{made['mouth_psnr']:.2f} dB against {made['mean_mouth_psnr']:.2f} dB",
                    made["mouth_psnr"] > made["mean_mouth_psnr"],
                ),
                Check(
                    f"{corpus}, {method}: LSE-C with its own sound is above that with another clip's",
                    f"{made['lse_c']:.2f} against {made['lse_c_other']:.2f}",
                    made["lse_c"] > made["lse_c_other"],
                ),
            ]
    return checks


def read_curves(stage: str, path: Path) -> list[Curve]:
    """The curves of a curves.csv, one a scalar."""
    table = pd.read_csv(path)
    curves = []
    for name in table.columns.drop("step", errors="ignore"):
        values = table[["step", name]].dropna()
        if len(values) < 2:
            continue
        x = values["step"] / max(1, values["step"].max()) * 100
        low, high = float(values[name].min()), float(values[name].quantile(0.98))
        y = 29 - (values[name].clip(upper=high) - low) / max(high - low, 1e-9) * 28
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        curves.append(Curve(stage, str(name), float(values[name].iloc[-1]), points))
    return curves


def read_bars(path: Path) -> list[Bar]:
    """The bars of a two-column table of labels and counts, as `dvc plots` draws it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(label, int(count)) for label, count in list(csv.reader(file))[1:]]
    most = max((count for _, count in rows), default=0)
    return [Bar(label, count, count / most if most else 0.0) for label, count in rows]


def corpus_view(metrics: Path) -> CorpusView:
    """A corpus from its metrics, results/corpora/<name>.json, and the tables in the folder beside them."""
    plots = metrics.with_suffix("")
    return CorpusView(
        name=metrics.stem,
        figures=load_json(metrics),
        steps=read_bars(plots / "funnel.csv"),
        offsets=read_bars(plots / "offsets.csv"),
        face_sizes=read_bars(plots / "face_sizes.csv"),
    )


def table_rows(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Cells of a table as rows for the page: corpus, method, and per metric ours, interval and paper."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in cells:
        row = rows.setdefault((one.corpus, one.method), {"corpus": one.corpus, "method": one.method, "cells": []})
        places = digits(one.metric)
        row["cells"].append(
            {
                "ours": missing(one) if one.ours is None else f"{one.ours:.{places}f}",
                "ran": one.ours is not None,
                "interval": "" if one.ours is None else f"{one.low:.{places}f} – {one.high:.{places}f}",
                "paper": "" if one.paper is None else f"{one.paper:g}",
                "heading": HEADINGS[one.metric],
            }
        )
    return list(rows.values())


def render(**content: Any) -> str:  # noqa: ANN401  # the template's variables
    """The page; see report.html for the variables."""
    environment = Environment(loader=PackageLoader("synctalk.tables", "."), autoescape=select_autoescape(["html"]))
    return environment.get_template("report.html").render(**content)


def load_json(path: Path) -> dict[str, Any]:
    """A JSON file of the results."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
