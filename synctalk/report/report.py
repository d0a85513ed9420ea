"""The report: one HTML file with everything in it, which opens offline in any browser.

Figures with the paper's beside, sanity checks of the judges, clips of every method side by side, the figures of every
clip, keep-rates, offsets, clusters and learning curves.
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
from numpy.typing import NDArray

from synctalk.evaluation.pictures import Take, film_frames
from synctalk.faces.crop import crop_faces, mouth_region
from synctalk.media import write_video
from synctalk.params.section import section
from synctalk.report.page import Bar, bars, clip_row, offset_bars, page_data, render_page
from synctalk.tables.figures import FIGURES
from synctalk.tables.table import Cell, missing

STRIP_FRAMES = 10
"""Faces of a clip that the strip shows, evenly spread."""

LABEL_WIDTH = 112
"""Pixels of the contact sheet that a method's name takes."""

CURVE_POINTS = 200
"""Points of a drawn curve; a longer one is drawn by means of its stretches."""

TRUTH = "ground_truth"
SHOWN_AT_FIRST = 4
"""Takes that the gallery shows before anyone chooses: the truth, the variant, and the next methods."""


@section
class ReportParams:
    """The report page (params.yaml: `report`)."""

    clips_per_corpus: int
    """Test clips of each corpus that the page shows."""


@dataclass(frozen=True)
class TakeView:
    """One method's take of a clip.

    Attributes:
        method: its name.
        mp4: the video file.
        strip: faces side by side, RGB [S, 10 S, 3].
        mouth: left, top, width and height of what holds the mouth in every frame, as shares of the picture.
    """

    method: str
    mp4: bytes
    strip: NDArray[np.uint8]
    mouth: tuple[float, float, float, float]

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
    """A learning curve.

    Attributes:
        stage: that wrote it.
        name: of the scalar.
        last: its last value.
        low: the value at the foot of the chart.
        high: the value at its top; the largest 2 % lie above and are drawn there.
        steps: the last step.
        points: of the SVG polyline in a 100 x 30 box.
    """

    stage: str
    name: str
    last: float
    low: float
    high: float
    steps: int
    points: str


@dataclass(frozen=True)
class SyncView:
    """Offsets that SyncNet found for one method on one corpus, and how many windows it saw."""

    corpus: str
    method: str
    offsets: list[Bar]
    windows: str


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


def mouth_box(boxes: NDArray[np.int32], width: int, height: int) -> tuple[float, float, float, float]:
    """What holds the mouth region of face boxes [T, 4] (x1, y1, x2, y2) in every frame: left, top, width, height as
    shares of a picture of `width` x `height`.
    """
    unit = 64  # any that sixteenths divide
    rows, columns = mouth_region(unit)
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    left, right = x1 + (x2 - x1) * columns.start / unit, x1 + (x2 - x1) * columns.stop / unit
    top, bottom = y1 + (y2 - y1) * rows.start / unit, y1 + (y2 - y1) * rows.stop / unit
    x, y = max(0.0, float(left.min())), max(0.0, float(top.min()))
    right_most, lowest = min(float(width), float(right.max())), min(float(height), float(bottom.max()))
    shares = x / width, y / height, (right_most - x) / width, (lowest - y) / height
    return tuple(round(share, 4) for share in shares)  # type: ignore[return-value]  # four of them


def take_view(method: str, take: Take, face_size: int) -> TakeView:
    """A take for the page. Our generated files are taken as they are; real footage, and that of whole clips, is encoded
    anew, so that any browser plays just the stretch.
    """
    frames, pcm = film_frames(take)
    if take.generated is not None and not take.whole:
        mp4 = take.generated.read_bytes()
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            write_video(path, frames, audio=pcm, crf=20)
            mp4 = path.read_bytes()
    boxes, (height, width) = take.sample.boxes[: len(frames)], frames.shape[1:3]
    strip = face_strip(crop_faces(frames, boxes, face_size))
    return TakeView(method, mp4, strip, mouth_box(boxes, width, height))


def clip_data(clip: ClipView) -> dict[str, Any]:
    """A clip as the gallery's script reads it."""
    takes = [
        {
            "method": take.method,
            "mp4": base64.b64encode(take.mp4).decode(),
            "strip": take.strip_uri,
            "mouth": take.mouth,
        }
        for take in clip.takes
    ]
    about = {"corpus": clip.corpus, "id": clip.id, "name": f"{clip.corpus} {clip.id}", "transcript": clip.transcript}
    return {**about, "takes": takes}


def sync_view(corpus: str, method: str, scores: pd.DataFrame) -> SyncView:
    """Offsets and windows of a table of scores."""
    windows = scores["n_windows"].dropna()
    counted = (
        f"{len(windows)} clips, {int(windows.sum())} windows, {int(windows.min())} to {int(windows.max())} a clip"
        if len(windows)
        else ""
    )
    return SyncView(corpus, method, offset_bars([int(offset) for offset in scores["offset"].dropna()]), counted)


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
    """The curves of a CSV with a column `step`, one a scalar; those of fewer than two values are left out."""
    table = pd.read_csv(path)
    curves = []
    for name in table.columns.drop("step", errors="ignore"):
        values = table[["step", name]].dropna()
        if len(values) < 2:
            continue
        steps, last = int(values["step"].max()), float(values[name].iloc[-1])
        if len(values) > CURVE_POINTS:
            values = values.groupby(np.arange(len(values)) * CURVE_POINTS // len(values)).mean()
        low, high = float(values[name].min()), float(values[name].quantile(0.98))
        x = values["step"] / max(1, steps) * 100
        y = 29 - (values[name].clip(upper=high) - low) / max(high - low, 1e-9) * 28
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        curves.append(Curve(stage, str(name), last, low, high, steps, points))
    return curves


def read_clusters(folder: Path) -> dict[str, list[tuple[str, float]]]:
    """Figures of the clusterings in FOLDER/<iteration>.json, name -> (iteration, value) in the iterations' order."""
    figures: dict[str, list[tuple[str, float]]] = {}
    for path in sorted(folder.glob("*.json")):
        for name, value in load_json(path).items():
            if isinstance(value, int | float):
                figures.setdefault(name, []).append((path.stem, float(value)))
    return figures


def read_bars(path: Path) -> list[Bar]:
    """The bars of a two-column table of labels and counts, as `dvc plots` draws it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(label, int(count)) for label, count in list(csv.reader(file))[1:]]
    return bars(rows)


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
        places = FIGURES[one.metric].places
        row["cells"].append(
            {
                "ours": missing(one) if one.ours is None else f"{one.ours:.{places}f}",
                "ran": one.ours is not None,
                "interval": "" if one.ours is None else f"{one.low:.{places}f} – {one.high:.{places}f}",
                "paper": "" if one.paper is None else f"{one.paper:g}",
                "heading": FIGURES[one.metric].heading,
            }
        )
    return list(rows.values())


def render(
    *,
    clips: Sequence[ClipView],
    scores: Mapping[tuple[str, str], pd.DataFrame],
    variant: str,
    **content: Any,  # noqa: ANN401  # the template's variables
) -> str:
    """The page.

    Args:
        clips: of the gallery.
        scores: of every clip, by corpus and method.
        variant: shown beside the truth at first.
        content: further variables of report.html.
    """
    methods = list(dict.fromkeys(method for _, method in scores))
    first = [name for name in dict.fromkeys((TRUTH, variant, *methods)) if name in methods]
    rows = [
        clip_row({str(name): value for name, value in row.items()}, corpus, method)
        for (corpus, method), table in scores.items()
        for row in table.astype(object).to_dict("records")
    ]
    return render_page(
        "report.html",
        variant=variant,
        data=page_data([clip_data(clip) for clip in clips], rows, methods, first[:SHOWN_AT_FIRST]),
        sync=[sync_view(corpus, method, table) for (corpus, method), table in scores.items()],
        n_clips=len(clips),
        **content,
    )


def load_json(path: Path) -> dict[str, Any]:
    """A JSON file of the results."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
