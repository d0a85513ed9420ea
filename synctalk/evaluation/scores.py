"""Scores of clips: their record, their table, and their means with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctalk.corpora.records import write_table
from synctalk.evaluation.bootstrap import Interval, ratio_interval
from synctalk.evaluation.videos.images import IMAGE_SCORES, ImageScores
from synctalk.metrics.shift import VSHIFT


@dataclass(frozen=True, kw_only=True)
class ClipScore(ImageScores):
    """Every figure of one clip of one method; None where it was not asked for or does not apply.

    `lse_c_other` is LSE-C against another clip's audio: what chance looks like. Edits turn the reference into the
    hypothesis, in words and in characters; `wer3_...` are those of the Conformer's teacher-forced hypothesis,
    `wer3_free_...` of its free one.
    """

    id: str
    n_frames: int
    n_windows: int | None
    lse_c: float | None
    lse_d: float | None
    offset: int | None
    lse_c_other: float | None
    edits: int | None
    n_words: int | None
    char_edits: int | None
    n_chars: int | None
    wer3_edits: int | None
    wer3_free_edits: int | None
    reference: str | None
    hypothesis: str | None
    wer3_hypothesis: str | None
    wer3_free_hypothesis: str | None


COLUMN_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}


SCORE_SCHEMA = pa.schema(
    [
        (field.name, COLUMN_TYPES[str(field.type).removesuffix(" | None")])
        for field in sorted(fields(ClipScore), key=lambda field: field.name in IMAGE_SCORES)
    ]
)
"""Columns of a table of scores, from the fields of `ClipScore`; those of `ImageScores` come last."""


def write_scores(path: Path, scores: Sequence[ClipScore]) -> None:
    """Write scores as parquet, one row a clip."""
    write_table(path, [asdict(score) for score in scores], SCORE_SCHEMA)


def summarise(scores: Sequence[ClipScore], wer_name: str) -> dict[str, Interval]:
    """Means over the clips that have a figure, with 95 % intervals; a figure that no clip has is left out.

    `n_windows` is the mean of windows a clip, on which LSE-C depends beside the lips. Word and character error rates,
    in percent, are edits over units of all clips, except `wer3`: the mean of the clips' rates, as in the released
    evaluation. `offset` is the mean, `offset_within_1` the share of clips whose best shift is at most one frame.
    """
    figures = {}
    for name in ("n_windows", "lse_c", "lse_d", "offset", "lse_c_other", *IMAGE_SCORES):
        values = _column(scores, name)
        if len(values):
            figures[name] = ratio_interval(values, np.ones(len(values)))
    offsets = _column(scores, "offset")
    if len(offsets):
        figures["offset_within_1"] = ratio_interval((np.abs(offsets) <= 1).astype(np.float64), np.ones(len(offsets)))
    rates = {
        wer_name: ("edits", "n_words"),
        "cer": ("char_edits", "n_chars"),
        "wer3_free": ("wer3_free_edits", "n_words"),
    }
    for name, (edits, units) in rates.items():
        read = [score for score in scores if getattr(score, edits) is not None]
        n_units = _column(read, units)
        if n_units.sum():
            figures[name] = ratio_interval(100 * _column(read, edits), n_units)
    forced = [score for score in scores if score.wer3_edits is not None and score.n_words]
    if forced:
        by_clip = 100 * _column(forced, "wer3_edits") / _column(forced, "n_words")
        figures["wer3"] = ratio_interval(by_clip, np.ones(len(by_clip)))
    return figures


def offset_counts(scores: Sequence[ClipScore]) -> dict[int, int]:
    """Clips at each best shift, -V..V frames, those without a clip too, so that two runs have the same bars; empty
    where nothing was scored by SyncNet.
    """
    counts = Counter(score.offset for score in scores if score.offset is not None)
    return {offset: counts[offset] for offset in range(-VSHIFT, VSHIFT + 1)} if counts else {}


def write_offsets(path: Path, scores: Sequence[ClipScore]) -> None:
    """Write `offset_counts` as CSV: offset, clips."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ["offset,clips", *(f"{offset},{clips}" for offset, clips in offset_counts(scores).items())]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _column(scores: Sequence[ClipScore], name: str) -> NDArray[np.float64]:
    """What the clips that have this figure have, [n]."""
    found = [getattr(score, name) for score in scores]
    return np.asarray([value for value in found if value is not None], np.float64)
