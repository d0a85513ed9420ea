"""An observer: a lip reader that judges. It never supervises.

Trained here, it has its own seed, sizes, clusters and pre-training; or it is a published one, taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from synctalk.checkpoints.tokenizer import read_tokenizer
from synctalk.checkpoints.typed import load_published_lip_reader
from synctalk.errors import UserError
from synctalk.features.tokens import Tokenizer
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.lip_reader import UNK, LipReader, LipReaderConfig
from synctalk.params.section import section
from synctalk.training.clusters import cluster_frames, mfcc_features
from synctalk.training.data import SampleCache
from synctalk.training.finetune import FinetuneParams, finetune
from synctalk.training.pretrain import PretrainParams, iteration_config, pretrain


@section
class ObserverRecipe:
    """How an observer is trained here."""

    corpora: tuple[str, ...]
    seed: int
    """Added to the seed of the run, so that judge and supervisor share no randomness."""
    reader: LipReaderConfig
    pretrain: PretrainParams
    finetune: FinetuneParams


@section
class ObserverParams:
    """One observer (params.yaml: `observers.<name>`): one of the two keys is set."""

    checkpoint: str
    """Published fine-tuned AV-HuBERT to take as it is, word pieces included; "" trains one here."""
    recipe: ObserverRecipe | None = None


@dataclass(frozen=True)
class Observer:
    """The reader in eval mode, the word pieces that it writes, and the learning curves of its training."""

    model: LipReader
    tokenizer: Tokenizer
    curves: list[tuple[int, str, float]]


def published_observer(path: Path) -> Observer:
    """An observer from a published fine-tuned AV-HuBERT file, whose word pieces are inside it.

    Raises:
        UserError: the file is missing or damaged, of another kind, or holds no word pieces, or others than it numbers.
    """
    model, stored = load_published_lip_reader(path), read_tokenizer(path)
    tokenizer = Tokenizer(stored.sentencepiece)
    if tokenizer.pieces() != stored.pieces[UNK + 1 :]:
        raise UserError(path, "numbers its word pieces otherwise than its SentencePiece model", "take another file")
    return Observer(model, tokenizer, [])


def train_observer(
    samples: SampleCache, tokenizer: Tokenizer, params: ObserverRecipe, *, crop: int, seed: int, folder: Path
) -> Observer:
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
    return Observer(model, tokenizer, first.curves + shifted)
