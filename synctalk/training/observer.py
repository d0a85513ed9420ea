"""An observer: a lip reader that judges, with its own seed, sizes, clusters and pre-training. It never supervises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.section import section
from synctalk.training.clusters import cluster_frames, mfcc_features
from synctalk.training.data import SampleCache
from synctalk.training.finetune import FinetuneParams, finetune
from synctalk.training.pretrain import PretrainParams, iteration_config, pretrain
from synctalk.training.text import Tokenizer


@section
class ObserverParams:
    """One observer (params.yaml: `observers.<name>`)."""

    checkpoint: str
    """Published fine-tuned AV-HuBERT to take as it is; "" trains the observer here."""
    corpora: tuple[str, ...]
    seed: int
    """Added to the seed of the run, so that judge and supervisor share no chance."""
    reader: LipReaderConfig
    pretrain: PretrainParams
    finetune: FinetuneParams


@dataclass(frozen=True)
class TrainedObserver:
    """The reader, and its learning curves of both steps."""

    model: AVSyncNet
    curves: list[tuple[int, str, float]]


def train_observer(
    samples: SampleCache, tokenizer: Tokenizer, params: ObserverParams, *, crop: int, seed: int, folder: Path
) -> TrainedObserver:
    """Cluster, pre-train and fine-tune an observer on `samples`; see `pretrain` for the other arguments."""
    seed += params.seed
    torch.manual_seed(seed)
    clusters = cluster_frames(mfcc_features(samples), params.pretrain.clusters, seed)
    config = replace(params.reader, vocabulary=len(tokenizer))
    encoder = AVHubert(iteration_config(config.encoder, params.pretrain, len(clusters.centroids)))
    for part in ("pretrain", "finetune"):
        (folder / part).mkdir(exist_ok=True)
    first = pretrain(
        encoder,
        samples,
        clusters.labels,
        params.pretrain,
        crop=crop,
        seed=seed,
        folder=folder / "pretrain",
        label="observer: pretrain",
    )
    model = AVSyncNet(config, params.finetune.alignment)
    model.encoder.w2v_model.load_state_dict(encoder.backbone_state())
    second = finetune(
        model,
        samples,
        tokenizer,
        params.finetune,
        crop=crop,
        seed=seed,
        folder=folder / "finetune",
        label="observer: finetune",
    )
    shifted = [(step + params.pretrain.optim.steps, name, value) for step, name, value in second.curves]
    return TrainedObserver(model, first.curves + shifted)
