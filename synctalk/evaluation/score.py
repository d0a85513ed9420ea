"""Scores of a method on a corpus: per clip, and their means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from synctalk.corpora.records import Clip, write_table
from synctalk.errors import UserError
from synctalk.evaluation.bootstrap import Interval, ratio_interval
from synctalk.evaluation.judges import SyncEmbeddings, judge_sync, read_lips, sync_embeddings
from synctalk.evaluation.pictures import Footage, Take, film
from synctalk.generation.corpus import generated_path
from synctalk.jobs import map_ordered
from synctalk.metrics.wer import word_edits
from synctalk.models.beam_search import BeamConfig
from synctalk.models.lip_reader import LipReader
from synctalk.models.syncnet import SyncNet
from synctalk.shards.read import ShardSet
from synctalk.training.sync_expert import View
from synctalk.training.text import Tokenizer


@dataclass(frozen=True)
class ClipScore:
    """Every figure of one clip of one method.

    Image scores are None for ground truth. `lse_c_other` is LSE-C against another clip's sound: what chance looks like.
    """

    id: str
    n_frames: int
    n_windows: int
    lse_c: float
    lse_d: float
    offset: int
    lse_c_other: float
    psnr: float | None
    psnr_uint8: float | None
    ssim: float | None
    mouth_psnr: float | None
    mean_mouth_psnr: float | None
    edits: int
    n_words: int
    reference: str
    hypothesis: str


SCORE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("n_frames", pa.int64()),
        ("n_windows", pa.int64()),
        ("lse_c", pa.float64()),
        ("lse_d", pa.float64()),
        ("offset", pa.int64()),
        ("lse_c_other", pa.float64()),
        ("psnr", pa.float64()),
        ("psnr_uint8", pa.float64()),
        ("ssim", pa.float64()),
        ("mouth_psnr", pa.float64()),
        ("mean_mouth_psnr", pa.float64()),
        ("edits", pa.int64()),
        ("n_words", pa.int64()),
        ("reference", pa.string()),
        ("hypothesis", pa.string()),
    ]
)


@dataclass(frozen=True)
class Judges:
    """Who scores: SyncNet and its view, an observer with its tokenizer and input crop, and how it searches."""

    sync: SyncNet
    view: View
    observer: LipReader
    tokenizer: Tokenizer
    crop: int
    beam: BeamConfig


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
    """Score takes, in their order. The decoding runs in processes, the judges here."""
    prepare = partial(film, face_size=face_size, mouth_size=mouth_size, view=judges.view, judge=judges.sync.config)
    footage: list[Footage] = []
    embeddings: list[SyncEmbeddings] = []
    for clip in map_ordered(prepare, takes, label=f"film {label}"):
        embeddings.append(sync_embeddings(judges.sync, clip.pictures, clip.mfcc, clip.n_samples))
        # whole frames of all clips would not fit in memory
        footage.append(replace(clip, pictures=clip.pictures[:0]))
    texts = read_lips(judges.observer, judges.tokenizer, [clip.mouths for clip in footage], judges.crop, judges.beam)
    scores = []
    for number, (clip, text) in enumerate(zip(footage, texts, strict=True)):
        own = judge_sync(embeddings[number], embeddings[number])
        other = judge_sync(embeddings[number], embeddings[(number + 1) % len(footage)])
        edits = word_edits(clip.transcript, text)
        images = asdict(clip.images) if clip.images else dict.fromkeys(IMAGE_SCORES)
        scores.append(
            ClipScore(
                id=clip.id,
                n_frames=len(clip.mouths),
                n_windows=len(embeddings[number].lip),
                lse_c=own.confidence,
                lse_d=own.distance,
                offset=own.offset,
                lse_c_other=other.confidence,
                edits=edits.edits,
                n_words=edits.n_reference,
                reference=clip.transcript,
                hypothesis=text,
                **images,
            )
        )
    return scores


IMAGE_SCORES = ("psnr", "psnr_uint8", "ssim", "mouth_psnr", "mean_mouth_psnr")


def summarise(scores: Sequence[ClipScore], wer_name: str) -> dict[str, Interval]:
    """Means over clips with 95 % intervals; the word error rate, in percent, is edits over words of all clips.

    `offset` is the mean, `offset_within_1` the share of clips whose best shift is at most one frame.
    """
    ones = np.ones(len(scores))

    def mean(values: Sequence[float]) -> Interval:
        return ratio_interval(np.asarray(values, np.float64), ones)

    figures = {
        name: mean([getattr(score, name) for score in scores])
        for name in ("lse_c", "lse_d", "offset", "lse_c_other", *IMAGE_SCORES)
        if getattr(scores[0], name) is not None
    }
    figures["offset_within_1"] = mean([float(abs(score.offset) <= 1) for score in scores])
    edits = np.asarray([100.0 * score.edits for score in scores])
    words = np.asarray([float(score.n_words) for score in scores])
    figures[wer_name] = ratio_interval(edits, words)
    return figures
