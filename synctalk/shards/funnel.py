"""What became of a corpus, step by step and reason by reason: its metrics, and the tables behind its plots."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synctalk.errors import Reason
from synctalk.metrics.shift import VSHIFT
from synctalk.parquet import iter_rows
from synctalk.rejected import Rejected
from synctalk.runtime.parts import n_parts_in, part_path
from synctalk.shards.records import CROP_SCHEMA, SCREENING_SCHEMA, IndexRow
from synctalk.timebase import FPS

STEPS: Mapping[str, frozenset[Reason]] = {
    "readable": frozenset(
        {
            Reason.BAD_LISTING, Reason.DUPLICATE, Reason.NO_TRANSCRIPT, Reason.EMPTY_FILE, Reason.TRUNCATED,
            Reason.UNDECODABLE, Reason.OVER_REPORTED_FRAMES, Reason.NO_VIDEO, Reason.NO_AUDIO, Reason.TIMED_OUT,
            Reason.CRASHED,
        }
    ),
    "face": frozenset({Reason.NO_FACE, Reason.FACE_LOST, Reason.SEVERAL_FACES}),
    "quality": frozenset(
        {Reason.TOO_SHORT, Reason.TOO_LONG, Reason.SILENT_AUDIO, Reason.LENGTH_MISMATCH, Reason.FROZEN_FACE}
    ),
    "sync": frozenset({Reason.OUT_OF_SYNC}),
}  # fmt: skip
"""Steps between "listed" and "packed", each with the reasons for which a clip falls out, whichever stage saw it."""

FACE_BIN_PX = 16
"""Width of a bar of the histogram of face sizes."""


@dataclass(frozen=True)
class SyncFigures:
    """What screening found, of all crops that it measured.

    Attributes:
        offsets: frames by which the audio comes early -> crops.
        confidences: of the crops that were measured.
        n_repaired: crops whose audio was moved.
    """

    offsets: Counter[int]
    confidences: list[float]
    n_repaired: int


def steps(n_kept: int, reasons: Mapping[Reason, int]) -> dict[str, int]:
    """Clips that are left after each step, from "listed" to "packed".

    Clips that the corpus' own lists leave out were never asked for, and are not among those listed.
    """
    left = n_kept + sum(count for reason, count in reasons.items() if reason != Reason.NOT_LISTED)
    found = {"listed": left}
    for step, losses in STEPS.items():
        left -= sum(reasons.get(reason, 0) for reason in losses)
        found[step] = left
    return found | {"packed": n_kept}


def sync_figures(crops: Path, screening: Path) -> SyncFigures:
    """Offsets and confidences of the crops that were measured, whatever became of them.

    Raises:
        UserError: a part is missing or broken.
    """
    offsets: Counter[int] = Counter()
    confidences: list[float] = []
    n_repaired = 0
    for number in range(n_parts_in(screening)):
        crop_rows = iter_rows(part_path(crops, number), CROP_SCHEMA, ["id", "start"])
        start_of = {row["id"]: row["start"] for row in crop_rows}
        for row in iter_rows(part_path(screening, number), SCREENING_SCHEMA):
            n_repaired += row["audio_start"] != start_of[row["id"]]
            if row["offset"] is not None:
                offsets[row["offset"]] += 1
                confidences.append(row["confidence"])
    return SyncFigures(offsets, confidences, n_repaired)


def face_widths(crops: Path) -> Iterator[float]:
    """Median width of the face of every crop, pixels of its video."""
    for number in range(n_parts_in(crops)):
        for row in iter_rows(part_path(crops, number), CROP_SCHEMA, ["boxes"]):
            boxes = np.frombuffer(row["boxes"], "<i4").reshape(-1, 4)
            yield float(np.median(boxes[:, 2] - boxes[:, 0]))


def funnel(kept: Iterable[IndexRow], rejected: Iterable[Rejected], sync: SyncFigures) -> dict[str, Any]:
    """Counts of what was kept and dropped and why, and the keep-rate: the metrics of a corpus.

    Clips that the corpus' own lists leave out were never asked for, and do not count in the keep-rate.
    """
    by_split: Counter[str] = Counter()
    n_frames = 0
    for row in kept:
        by_split[row.split] += 1
        n_frames += row.n_frames
    reasons = Counter(row.reason for row in rejected)
    n_kept, n_all = by_split.total(), by_split.total() + reasons.total()
    n_wanted = n_all - reasons[Reason.NOT_LISTED]
    screened: dict[str, Any] = {"measured": len(sync.confidences), "repaired": sync.n_repaired}
    if sync.confidences:
        screened["confidence"] = round(float(np.median(sync.confidences)), 3)
        near = sum(count for offset, count in sync.offsets.items() if abs(offset) <= 1)
        screened["offset_within_1"] = round(near / sync.offsets.total(), 4)
    return {
        "clips": n_all,
        "kept": n_kept,
        "keep_rate": n_kept / n_wanted if n_wanted else 0.0,
        "kept_by_split": dict(sorted(by_split.items())),
        "hours": n_frames / FPS / 3600,
        "rejected": dict(sorted((str(reason), count) for reason, count in reasons.items())),
        "steps": steps(n_kept, reasons),
        "screening": screened,
    }


def write_plots(folder: Path, figures: Mapping[str, Any], sync: SyncFigures, widths: Iterable[float]) -> None:
    """Write the tables behind the plots of a corpus: funnel.csv, offsets.csv and face_sizes.csv.

    Bars without a clip are written too, within the range, so that two experiments have the same bars.
    """
    _write(folder / "funnel.csv", ("step", "clips"), figures["steps"].items())
    offsets = range(-VSHIFT, VSHIFT + 1)
    _write(folder / "offsets.csv", ("offset", "clips"), ((offset, sync.offsets[offset]) for offset in offsets))
    sizes = Counter(int(width // FACE_BIN_PX) for width in widths)
    bars = range(min(sizes), max(sizes) + 1) if sizes else range(0)
    _write(folder / "face_sizes.csv", ("width_px", "clips"), ((bar * FACE_BIN_PX, sizes[bar]) for bar in bars))


def _write(path: Path, header: tuple[str, str], rows: Iterable[tuple[Any, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
