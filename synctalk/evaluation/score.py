"""Scores of a method on a corpus: per clip, and their means with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctalk.corpora.records import Clip, write_table
from synctalk.errors import UserError
from synctalk.evaluation.bootstrap import Interval, ratio_interval
from synctalk.evaluation.judges import SyncEmbeddings, judge_sync, read_by_conformer, read_lips, sync_embeddings
from synctalk.evaluation.pictures import IMAGE_SCORES, Footage, ImageScores, Take, film
from synctalk.features.syncnet_input import View
from synctalk.features.tokens import Tokenizer, Units
from synctalk.generation.corpus import generated_path
from synctalk.metrics.shift import VSHIFT
from synctalk.metrics.wer import character_edits, word_edits
from synctalk.models.beam_search import BeamConfig
from synctalk.models.conformer import Conformer
from synctalk.models.conformer_search import JointBeamConfig
from synctalk.models.lip_reader import LipReader
from synctalk.models.sync_scorer import SyncScorer
from synctalk.runtime.jobs import map_ordered
from synctalk.shards.read import ShardSet


@dataclass(frozen=True, kw_only=True)
class ClipScore(ImageScores):
    """Every figure of one clip of one method; None where it was not asked for or does not apply.

    `lse_c_other` is LSE-C against another clip's sound: what chance looks like. Edits turn the reference into the
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


@dataclass(frozen=True)
class SyncJudge:
    """SyncNet, what it looks at, and whether that goes through the public script's JPEG first."""

    model: SyncScorer
    view: View
    jpeg: bool = False


@dataclass(frozen=True)
class LipJudge:
    """An observer with its tokenizer and input crop, and how it searches."""

    model: LipReader
    tokenizer: Tokenizer
    crop: int
    beam: BeamConfig


@dataclass(frozen=True)
class ConformerJudge:
    """The third observer with its pieces and input crop, and how it searches."""

    model: Conformer
    units: Units
    crop: int
    beam: JointBeamConfig


@dataclass(frozen=True)
class Judges:
    """Who scores; None leaves those figures out."""

    sync: SyncJudge | None
    lips: LipJudge | None
    conformer: ConformerJudge | None = None


def takes_of(root: Path, clips: Sequence[Clip], shards: ShardSet, generated: Path | None) -> list[Take]:
    """One take a sample; `generated` is the folder of the generated videos, None scores the real ones.

    Raises:
        UserError: a generated video is missing.
    """
    by_id = {clip.id: clip for clip in clips}
    takes = []
    for number in range(len(shards)):
        sample = shards[number]
        path = generated_path(generated, sample.row.id) if generated else None
        if path is not None and not path.is_file():
            raise UserError(path, "is not there", "run `dvc repro generate`")
        takes.append(Take(root, by_id[sample.row.clip], sample, path))
    return takes


def write_scores(path: Path, scores: Sequence[ClipScore]) -> None:
    """Write scores as parquet, one row a clip."""
    write_table(path, [asdict(score) for score in scores], SCORE_SCHEMA)


def score_takes(
    takes: Sequence[Take], judges: Judges, *, face_size: int, mouth_size: int, label: str
) -> list[ClipScore]:
    """Score takes, in their order, by both judges. The decoding runs in processes, the judges here."""
    assert judges.sync is not None
    sync = judges.sync
    prepare = partial(
        film, face_size=face_size, mouth_size=mouth_size, view=sync.view, judge=sync.model.config, jpeg=sync.jpeg
    )
    return score_footage(map_ordered(prepare, takes, label=f"film {label}"), judges)


def score_footage(clips: Iterable[Footage], judges: Judges) -> list[ClipScore]:
    """Let the judges score clips, in their order; each clip's other sound is that of the next, cyclically."""
    footage: list[Footage] = []
    embeddings: list[SyncEmbeddings] = []
    for clip in clips:
        if judges.sync is not None:
            embeddings.append(sync_embeddings(judges.sync.model, clip.pictures, clip.mfcc, clip.n_samples))
        # pictures of all clips would not fit in memory
        footage.append(replace(clip, pictures=np.zeros((0,), np.uint8)))
    sync = [_sync_figures(embeddings, number) for number in range(len(embeddings))] or [{}] * len(footage)
    words = _lip_figures(footage, judges.lips)
    third = _conformer_figures(footage, judges.conformer)
    return [
        ClipScore(
            **_blank(clip) | sync[number] | words[number] | third[number] | (asdict(clip.images) if clip.images else {})
        )
        for number, clip in enumerate(footage)
    ]


def _blank(clip: Footage) -> dict[str, Any]:
    return {
        **dict.fromkeys(field.name for field in fields(ClipScore)),
        "id": clip.id,
        "n_frames": clip.n_frames,
        "reference": clip.transcript,
    }


def _sync_figures(embeddings: Sequence[SyncEmbeddings], number: int) -> dict[str, Any]:
    own = judge_sync(embeddings[number], embeddings[number])
    figures = {
        "n_windows": len(embeddings[number].lip),
        "lse_c": own.confidence,
        "lse_d": own.distance,
        "offset": own.offset,
    }
    if len(embeddings) > 1:
        other = judge_sync(embeddings[number], embeddings[(number + 1) % len(embeddings)])
        figures["lse_c_other"] = other.confidence
    return figures


def _lip_figures(footage: Sequence[Footage], judge: LipJudge | None) -> list[dict[str, Any]]:
    if judge is None:
        return [{}] * len(footage)
    mouths = [clip.mouths for clip in footage]
    seen = [number for number, mouth in enumerate(mouths) if mouth is not None]
    texts = read_lips(judge.model, judge.tokenizer, [m for m in mouths if m is not None], judge.crop, judge.beam)
    figures: list[dict[str, Any]] = [{} for _ in footage]
    for number, text in zip(seen, texts, strict=True):
        figures[number]["hypothesis"] = text
        reference = footage[number].transcript
        if reference is not None:
            words, characters = word_edits(reference, text), character_edits(reference, text)
            figures[number] |= {
                "edits": words.edits,
                "n_words": words.n_reference,
                "char_edits": characters.edits,
                "n_chars": characters.n_reference,
            }
    return figures


def _conformer_figures(footage: Sequence[Footage], judge: ConformerJudge | None) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = [{} for _ in footage]
    if judge is None:
        return figures
    seen = [(number, clip.mouths, clip.transcript) for number, clip in enumerate(footage) if clip.mouths is not None]
    readings = read_by_conformer(
        judge.model, judge.units, [mouths for _, mouths, _ in seen], [text for *_, text in seen], judge.crop, judge.beam
    )
    for (number, _, reference), reading in zip(seen, readings, strict=True):
        figures[number] = {"wer3_hypothesis": reading.forced, "wer3_free_hypothesis": reading.free}
        if reference is not None and reading.forced is not None:
            free = word_edits(reference, reading.free)
            figures[number] |= {
                "n_words": free.n_reference,
                "wer3_edits": word_edits(reference, reading.forced).edits,
                "wer3_free_edits": free.edits,
            }
    return figures


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
