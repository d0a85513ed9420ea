"""Table 2: how well a fine-tuned reader reads, and how close its two encodings are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from synctalk.evaluation.bootstrap import ratio_interval
from synctalk.evaluation.judges import read_lips
from synctalk.jobs import progress_bar
from synctalk.metrics.wer import word_edits
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.beam_search import BeamConfig
from synctalk.training.data import SampleCache, speech_batch
from synctalk.training.loop import device
from synctalk.training.text import Tokenizer


@torch.no_grad()
def alignment_figures(model: AVSyncNet, samples: SampleCache, crop: int) -> dict[str, list[float]]:
    """Per clip: mean L1 distance (per dimension) of paired f^a and f^v, of unpaired ones, and retrieval accuracy.

    Retrieval: the share of frames whose f^v is nearest to its own f^a of all frames of the clip.
    """
    place = device()
    model.to(place).eval()
    figures: dict[str, list[float]] = {"paired_l1": [], "unpaired_l1": [], "retrieval": []}
    for number in progress_bar(iterable=range(len(samples)), desc="alignment", unit="clip"):
        batch = speech_batch(samples, [number], crop=crop)
        audio = model.comparable(model.encode(batch.audio.to(place), None))[0]
        video = model.comparable(model.encode(None, batch.video.to(place)))[0]
        distance = torch.cdist(video, audio, p=1) / audio.shape[-1]
        n = len(distance)
        figures["paired_l1"].append(float(distance.diagonal().mean()))
        figures["unpaired_l1"].append(float((distance.sum() - distance.diagonal().sum()) / (n * (n - 1))))
        right = distance.argmin(1) == torch.arange(n, device=place)
        figures["retrieval"].append(float(right.float().mean()))
    return figures


def reader_figures(
    model: AVSyncNet, tokenizer: Tokenizer, samples: SampleCache, *, crop: int, beam: BeamConfig
) -> dict[str, Any]:
    """Word error rate (percent) and alignment figures on `samples`, each with its 95 % interval over clips."""
    texts = read_lips(model, tokenizer, [samples[number].mouth for number in range(len(samples))], crop, beam)
    counts = [word_edits(row.transcript, text) for row, text in zip(samples.shards.rows, texts, strict=True)]
    edits = np.asarray([100.0 * count.edits for count in counts])
    words = np.asarray([float(count.n_reference) for count in counts])
    figures = {"wer": asdict(ratio_interval(edits, words))}
    for name, values in alignment_figures(model, samples, crop).items():
        figures[name] = asdict(ratio_interval(np.asarray(values), np.ones(len(values))))
    return figures
