"""An observer: a lip reader that judges. It never supervises.

Trained here, it has its own seed, sizes, clusters and pre-training; or it is a published one, taken as it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from synctalk.checkpoints.observer import Observer
from synctalk.features.tokens import Tokenizer
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.params.section import section
from synctalk.shards.cache import SampleCache
from synctalk.training.clusters import cluster_frames, mfcc_features
from synctalk.training.finetune import FinetuneParams, FinetuneTask
from synctalk.training.fit import fit
from synctalk.training.pretrain import PretrainParams, PretrainTask, iteration_config


@section
class ObserverRecipe:
    """How an observer is trained here."""

    corpora: tuple[str, ...]
    seed: int
    """Added to the seed of the run, so that judge and supervisor share no random numbers."""
    reader: LipReaderConfig
    pretrain: PretrainParams
    finetune: FinetuneParams


@section
class ObserverParams:
    """One observer (params.yaml: `observers.<name>`): one of the two keys is set."""

    checkpoint: str = ""
    """Published fine-tuned AV-HuBERT to take as it is, with the word pieces in it; "" trains the observer here."""
    recipe: ObserverRecipe | None = None


def train_observer(
    samples: SampleCache, tokenizer: Tokenizer, params: ObserverRecipe, *, crop: int, seed: int, folder: Path
) -> Observer:
    """Cluster, pre-train and fine-tune an observer on `samples`; see the tasks for the other arguments."""
    seed += params.seed
    torch.manual_seed(seed)
    clusters = cluster_frames(mfcc_features(samples), params.pretrain.clusters, seed)
    config = replace(params.reader, vocabulary=len(tokenizer))
    encoder = AVHubert(iteration_config(config.encoder, params.pretrain, len(clusters.centroids)))
    for part in ("pretrain", "finetune"):
        (folder / part).mkdir(exist_ok=True)
    first = fit(
        PretrainTask(encoder, samples, clusters.labels, params.pretrain, crop=crop, seed=seed),
        folder=folder / "pretrain",
        label="observer: pretrain",
    )
    model = AVSyncNet(config, params.finetune.alignment)
    model.encoder.w2v_model.load_state_dict(encoder.backbone_state())
    second = fit(
        FinetuneTask(model, samples, tokenizer, params.finetune, crop=crop, seed=seed),
        folder=folder / "finetune",
        label="observer: finetune",
    )
    shifted = [(step + params.pretrain.optim.steps, name, value) for step, name, value in second.curves]
    return Observer(model, tokenizer, first.curves + shifted)
