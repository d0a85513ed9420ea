"""Table 2: how well a fine-tuned reader reads, and how close its two encodings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from synctalk.corpora.records import write_table
from synctalk.evaluation.bootstrap import ratio_interval
from synctalk.evaluation.judges.conformer import read_by_conformer
from synctalk.evaluation.judges.lip_reader import read_lips
from synctalk.features.speech_batch import speech_batch
from synctalk.features.tokens import Tokenizer, Units
from synctalk.metrics.wer import word_edits
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.beam_search import BeamConfig
from synctalk.models.conformer import Conformer
from synctalk.models.conformer_search import JointBeamConfig
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar
from synctalk.shards.cache import SampleCache

ALIGNMENT = ("paired_l1", "unpaired_l1", "retrieval")


@dataclass(frozen=True)
class ReaderScore:
    """One clip as a reader reads it: edits in words, and alignment figures (see `alignment_figures`; None for a
    reader that has no audio encoding).
    """

    id: str
    edits: int
    n_words: int
    paired_l1: float | None
    unpaired_l1: float | None
    retrieval: float | None
    reference: str
    hypothesis: str


READER_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("edits", pa.int64()),
        ("n_words", pa.int64()),
        *((name, pa.float64()) for name in ALIGNMENT),
        ("reference", pa.string()),
        ("hypothesis", pa.string()),
    ]
)


@torch.no_grad()
def alignment_figures(model: AVSyncNet, samples: SampleCache, crop: int) -> dict[str, list[float]]:
    """Per clip: mean L1 distance (per dimension) of paired f^a and f^v, of unpaired ones, and retrieval accuracy.

    Retrieval, audio to video: the share of frames whose own f^v is the nearest to f^a of all frames of the clip.
    """
    device = torch_device()
    model.to(device).eval()
    figures: dict[str, list[float]] = {"paired_l1": [], "unpaired_l1": [], "retrieval": []}
    for number in progress_bar(iterable=range(len(samples)), desc="alignment", unit="clip"):
        batch = speech_batch(samples, [number], crop=crop)
        audio = model.comparable(model.encode(batch.audio.to(device), None))[0]
        video = model.comparable(model.encode(None, batch.video.to(device)))[0]
        distance = torch.cdist(video, audio, p=1) / audio.shape[-1]
        n = len(distance)
        figures["paired_l1"].append(float(distance.diagonal().mean()))
        figures["unpaired_l1"].append(float((distance.sum() - distance.diagonal().sum()) / (n * (n - 1))))
        right = distance.argmin(0) == torch.arange(n, device=device)
        figures["retrieval"].append(float(right.float().mean()))
    return figures


def score_reader(
    model: AVSyncNet, tokenizer: Tokenizer, samples: SampleCache, *, crop: int, beam: BeamConfig
) -> list[ReaderScore]:
    """What a reader makes of each of `samples`."""
    texts = read_lips(model, tokenizer, [samples[number].mouth for number in range(len(samples))], crop, beam)
    counts = [word_edits(row.transcript, text) for row, text in zip(samples.shards.rows, texts, strict=True)]
    alignment = alignment_figures(model, samples, crop)
    return [
        ReaderScore(
            row.id,
            counts[number].edits,
            counts[number].n_reference,
            **{name: alignment[name][number] for name in ALIGNMENT},
            reference=row.transcript,
            hypothesis=texts[number],
        )
        for number, row in enumerate(samples.shards.rows)
    ]


def score_conformer(
    model: Conformer, units: Units, samples: SampleCache, *, crop: int, beam: JointBeamConfig
) -> list[ReaderScore]:
    """What the Conformer makes of each of `samples`, by free decoding; it has no audio encoding."""
    rows = samples.shards.rows
    mouths = [samples[number].mouth for number in range(len(samples))]
    readings = read_by_conformer(model, units, mouths, [None] * len(rows), crop, beam)
    counts = [word_edits(row.transcript, reading.free) for row, reading in zip(rows, readings, strict=True)]
    return [
        ReaderScore(row.id, count.edits, count.n_reference, None, None, None, row.transcript, reading.free)
        for row, count, reading in zip(rows, counts, readings, strict=True)
    ]


def write_readings(path: Path, readings: Sequence[ReaderScore]) -> None:
    """Write readings as parquet, one row a clip."""
    write_table(path, [asdict(reading) for reading in readings], READER_SCHEMA)


def reader_figures(readings: Sequence[ReaderScore]) -> dict[str, Any]:
    """Word error rate (percent) and alignment figures, each with its 95 % interval over clips."""
    edits = np.asarray([100.0 * reading.edits for reading in readings])
    words = np.asarray([float(reading.n_words) for reading in readings])
    figures = {"wer": asdict(ratio_interval(edits, words))}
    for name in ALIGNMENT:
        values = [getattr(reading, name) for reading in readings]
        if None not in values:
            figures[name] = asdict(ratio_interval(np.asarray(values), np.ones(len(values))))
    return figures
