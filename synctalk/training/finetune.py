"""Fine-tuning (eqs. 4-6): AV-HuBERT to a lip reader, and to AV-SyncNet where audio and video are aligned too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from synctalk.checkpoints.typed import kind_of, load_av_hubert, load_av_syncnet
from synctalk.features.tokens import Tokenizer
from synctalk.losses.alignment import alignment_loss
from synctalk.losses.ctc import ctc_loss
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.lip_reader import EOS, PAD, LipReaderConfig
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar
from synctalk.training.data import SampleCache, SpeechBatch, batches, pad_stack, speech_batch
from synctalk.training.loop import TrainState, run_steps
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.step import training_step

BLANK = PAD
"""The CTC head's blank: padding is no piece of any transcript."""


@section
class FinetuneWeights:
    """lambda of each term (eq. 6)."""

    lip_reading: float = 1.0
    alignment: float = 0.0
    ctc: float = 0.0
    """CTC beside the decoder, for small corpora; 0 in the paper."""
    audio_lip_reading: float = 0.0
    """Eq. 4 on the audio-only encoding too, which keeps f^a meaningful on small corpora; 0 in the paper."""


@section
class FinetuneParams:
    """One fine-tuned model (params.yaml: `finetune.<name>`)."""

    start: str = ""
    """Model file to begin with: a pre-trained AV-HuBERT, or another fine-tuned model."""
    batch_frames: int = 0
    """Frames of a batch, padding included, in batches of clips of like length; 0: `optim.batch_clips` clips a batch."""
    recompute: bool = False
    """Compute the encoder's layers again in the backward pass: far less memory, a third more time, the same weights."""
    corpora: tuple[str, ...] = ("lrs2",)
    alignment: AlignmentConfig = AlignmentConfig(kind="none")
    temperature: float = 1.0
    """tau of eq. 5."""
    weights: FinetuneWeights
    smoothing: float = 0.1
    """Label smoothing."""
    freeze: Literal["none", "front_end"]
    """`front_end`: the video front end stays as pre-trained; its output is computed once and kept."""
    freeze_steps: int = 0
    """Steps in which the whole encoder stays as pre-trained, batch norms too, before it is tuned (the peer's
    `freeze_finetune_updates`, where batch norms go on averaging)."""
    optim: OptimParams


def begin_reader(
    config: LipReaderConfig, params: FinetuneParams, start: Path, vocabulary: int, *, seed: int
) -> AVSyncNet:
    """A reader with the encoder of a pre-trained model folder, or with all weights of a fine-tuned one.

    Raises:
        UserError: `start` holds neither.
    """
    torch.manual_seed(seed)
    model = AVSyncNet(replace(config, vocabulary=vocabulary), params.alignment)
    file = start / "model.safetensors"
    if kind_of(file) == "av_hubert":
        model.encoder.w2v_model.load_state_dict(load_av_hubert(file).backbone_state())
    else:
        model.load_state_dict(load_av_syncnet(file).state_dict(), strict=False)
    return model


def front_end_features(model: AVSyncNet, samples: SampleCache, crop: int) -> list[Tensor]:
    """Output of the reader's frozen video front end for every sample; see `frozen_features`."""
    return frozen_features(model.encoder.w2v_model.feature_extractor_video.resnet, samples, crop)


def frozen_features(front_end: nn.Module, samples: SampleCache, crop: int) -> list[Tensor]:
    """Output of a video front end (`VideoFrontEnd`) for every sample, float32 [T, C] each, on the CPU."""
    device = next(front_end.parameters()).device
    features = []
    with torch.inference_mode():
        for number in progress_bar(iterable=range(len(samples)), desc="front end", unit="clip"):
            batch = speech_batch(samples, [number], crop=crop)
            features.append(front_end(batch.video.to(device))[0].cpu().clone())
    return features


def finetune(
    model: AVSyncNet,
    samples: SampleCache,
    tokenizer: Tokenizer,
    params: FinetuneParams,
    *,
    crop: int,
    seed: int,
    folder: Path,
    label: str,
) -> TrainState:
    """Train `model` in place by eq. 6. See `pretrain` for the arguments in common."""
    device = torch_device()
    model.to(device).train()
    front_end = model.encoder.w2v_model.feature_extractor_video.resnet
    kept: list[Tensor] = []
    if params.freeze == "front_end":
        front_end.requires_grad_(False).eval()
        kept = front_end_features(model, samples, crop)
    model.encoder.w2v_model.encoder.recompute = params.recompute
    tuned = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    batch_of = batches(samples, params.optim.batch_clips, params.batch_frames, seed)
    optimizer = Optimizer(model.parameters(), params.optim)
    state = TrainState(modules={"model": model}, optimizers={"adam": optimizer})
    weights = vars(params.weights)

    def collate(numbers: list[int], rng: np.random.Generator) -> SpeechBatch:
        if not kept:
            return speech_batch(samples, numbers, crop=crop, tokenizer=tokenizer, rng=rng)
        batch = speech_batch(samples, numbers, crop=crop, tokenizer=tokenizer, with_video=False)
        return replace(batch, video=pad_stack([kept[number] for number in numbers]))

    def counts(batch: SpeechBatch) -> dict[str, float]:
        pieces, clips, frames = int(batch.target.ne(PAD).sum()), len(batch.numbers), int(batch.n_frames.sum())
        return {"lip_reading": pieces, "audio_lip_reading": pieces, "ctc": clips, "alignment": frames}

    def read(batch: SpeechBatch, audio: Tensor | None, video: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Encoding, decoder loss and CTC loss of one modality."""
        target = batch.target.to(device)
        reading = model(audio, video, batch.padding.to(device), batch.decoder_input.to(device))
        decoder = lip_reading_loss(
            logits=reading.logits, target=target, padding_index=PAD, smoothing=params.smoothing, reduction="mean"
        )
        ctc = torch.zeros((), device=device)
        if reading.ctc_logits is not None:
            pieces = target.masked_fill(target == EOS, PAD)
            ctc = ctc_loss(
                log_probs=reading.ctc_logits.float().log_softmax(-1),
                n_frames=batch.n_frames.to(device),
                pieces=pieces,
                n_pieces=pieces.ne(PAD).sum(1),
                blank=BLANK,
            )
        return reading.encoder_out, decoder, ctc

    def losses(batch: SpeechBatch) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        f_video, terms["lip_reading"], terms["ctc"] = read(batch, None, batch.video.to(device))
        if weights["alignment"] or weights["audio_lip_reading"]:
            f_audio, terms["audio_lip_reading"], audio_ctc = read(batch, batch.audio.to(device), None)
            terms["ctc"] = terms["ctc"] + weights["audio_lip_reading"] * audio_ctc
            terms["alignment"] = alignment_loss(
                audio=model.comparable(f_audio),
                video=model.comparable(f_video),
                padding=batch.padding.to(device),
                temperature=params.temperature,
            )
        return terms

    def train_step(step: int) -> dict[str, float]:
        frozen = step < params.freeze_steps
        front_end.train(not frozen and params.freeze == "none")
        for parameter in tuned:
            parameter.requires_grad_(not frozen)
        return training_step(
            optimizer, step, batch_of(step), seed=seed, collate=collate, counts=counts, losses=losses, weights=weights
        )

    run_steps(state, params.optim.steps, train_step, seed=seed, folder=folder, label=label)
    for parameter in tuned:
        parameter.requires_grad_()
    model.cpu().eval()
    return state
