"""Masked cluster prediction (eq. 3): one iteration of AV-HuBERT pre-training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.checkpoints.typed import load_av_hubert
from synctalk.features.speech_batch import NoiseParams, SpeechBatch, pad_stack, speech_batch
from synctalk.losses.masked_prediction import masked_prediction_loss
from synctalk.models.av_hubert import AVHubert, AVHubertConfig
from synctalk.models.masking import SpanMasks, draw_span_masks
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache
from synctalk.training.batches import batches
from synctalk.training.clusters import ClusterParams
from synctalk.training.fit import Task
from synctalk.training.optim import OptimParams

LABEL_OFFSET = 4
"""The released label dictionaries begin with four special symbols; cluster k has row k + 4."""


@section
class PretrainParams:
    """One iteration of pre-training (params.yaml: `pretrain.iterations.<name>`)."""

    source: str
    """What the clusters are made of: the shards (MFCC), or the model file of the iteration before."""
    start: Literal["scratch", "source"]
    """`scratch`, or `source`: begin with the weights of the iteration before."""
    batch_frames: int = 0
    """Frames of a batch, padding included, in batches of clips of like length; 0: `optim.batch_clips` clips a batch."""
    recompute: bool = False
    """Compute the encoder's layers again in the backward pass: far less memory, a third more time, the same weights."""
    clusters: ClusterParams
    optim: OptimParams
    masking: Literal["input", "feature"]
    """Where masks act: on the inputs (the released fifth iteration), or on the fused features (the four before)."""
    feature_grad_mult: float
    """Factor on the gradient that reaches the front ends: 0.1 in the release."""
    audio_mask_prob: float
    audio_mask_length: int
    video_mask_prob: float
    video_mask_length: int
    modality_dropout: float
    """Probability that a batch loses one modality."""
    audio_dropout: float
    """Given that, probability that it is the audio."""
    noise: NoiseParams = NoiseParams()
    alpha: float = 1.0
    """Weight of the unmasked frames in eq. 3: 1 for Large, 0 for Base (peers)."""
    feature_penalty: float
    """Weight of the mean square of the front ends' features: 10 in the release."""


@section
class PretrainSection:
    """Pre-training: the corpora, and one entry an iteration (params.yaml: `pretrain`)."""

    corpora: tuple[str, ...]
    iterations: dict[str, PretrainParams]


@dataclass(frozen=True)
class MaskedBatch:
    """Whole clips, what of them is hidden, and the cluster of each frame, int64 [B, T]."""

    speech: SpeechBatch
    masks: SpanMasks
    target: Tensor


class PretrainTask(Task[MaskedBatch]):
    """AV-HuBERT on whole clips and their frame labels.

    Args:
        model: with its pre-training head; is trained in place.
        samples: clips.
        labels: cluster of each frame, int64 [T] a sample, in the order of `samples`.
        params: of this iteration.
        crop: side of the video input, pixels.
        seed: of batches, masks, augmentation and dropout.
    """

    model: AVHubert

    def __init__(
        self,
        model: AVHubert,
        samples: SampleCache,
        labels: Sequence[NDArray[np.int64]],
        params: PretrainParams,
        *,
        crop: int,
        seed: int,
    ) -> None:
        self.model, self.samples, self.params, self.optim = model, samples, params, params.optim
        self.crop, self.seed, self.device = crop, seed, torch_device()
        model.encoder.recompute = params.recompute
        self.weights = {
            "masked_prediction": 1.0,
            "unmasked_prediction": params.alpha,
            "feature_penalty": params.feature_penalty,
            "accuracy": 0.0,
        }
        self.clips_of = batches(samples, params.optim.batch_clips, params.batch_frames, seed)
        self.targets = [torch.from_numpy(row) + LABEL_OFFSET for row in labels]

    def collate(self, numbers: list[int], rng: np.random.Generator) -> MaskedBatch:
        params = self.params
        speech = speech_batch(self.samples, numbers, crop=self.crop, rng=rng, noise=params.noise)
        masks = draw_span_masks(
            speech.n_frames.numpy(),
            speech.padding.shape[1],
            audio=(params.audio_mask_prob, params.audio_mask_length),
            video=(params.video_mask_prob, params.video_mask_length),
            rng=rng,
        )
        return MaskedBatch(speech, masks, pad_stack([self.targets[number] for number in numbers]))

    def counts(self, batch: MaskedBatch) -> dict[str, float]:
        """Frames; the penalty's count padding, as the peer's do."""
        frames = int(batch.speech.n_frames.sum())
        masked = int((batch.masks.union & ~batch.speech.padding).sum())
        return {
            "masked_prediction": masked,
            "unmasked_prediction": frames - masked,
            "feature_penalty": batch.speech.padding.numel(),
            "accuracy": frames,
        }

    def losses(self, batch: MaskedBatch) -> dict[str, Tensor]:
        device, speech = self.device, batch.speech
        target, padding = batch.target.to(device), speech.padding.to(device)
        prediction = self.model(speech.audio.to(device), speech.video.to(device), padding, batch.masks.to(device))
        loss = masked_prediction_loss(
            logits=prediction.logits, labels=target, masked=prediction.masked, padding=padding
        )
        right = (prediction.logits.argmax(-1) == target) & ~padding
        return {
            "masked_prediction": loss.masked,
            "unmasked_prediction": loss.unmasked,
            "feature_penalty": prediction.feature_penalty,
            "accuracy": right.sum() / (~padding).sum(),
        }


def iteration_config(config: AVHubertConfig, params: PretrainParams, n_clusters: int) -> AVHubertConfig:
    """`config` with what an iteration sets: label count, masking, modality dropout, gradient of the front ends."""
    return replace(
        config,
        masking=params.masking,
        feature_grad_mult=params.feature_grad_mult,
        n_labels=n_clusters + LABEL_OFFSET,
        modality_dropout=params.modality_dropout,
        audio_dropout=params.audio_dropout,
    )


def begin_iteration(
    config: AVHubertConfig, params: PretrainParams, labels: Sequence[NDArray[np.int64]], source: Path, *, seed: int
) -> AVHubert:
    """The model that an iteration begins with: fresh, or with the encoder of the model folder `source`."""
    torch.manual_seed(seed)
    n_clusters = max(int(row.max()) for row in labels) + 1
    model = AVHubert(iteration_config(config, params, n_clusters))
    if params.start == "source":
        model.load_state_dict(load_av_hubert(source / "model.safetensors").backbone_state(), strict=False)
    return model
