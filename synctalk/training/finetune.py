"""Fine-tuning (eqs. 4-6): AV-HuBERT to a lip reader, and to AV-SyncNet where audio and video are aligned too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from synctalk.checkpoints.typed import kind_of, load_av_hubert, load_av_syncnet
from synctalk.features.speech_batch import SpeechBatch, pad_stack, speech_batch
from synctalk.features.tokens import Tokenizer
from synctalk.losses.alignment import alignment_loss
from synctalk.losses.ctc import ctc_loss
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.lip_reader import EOS, PAD, LipReaderConfig
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar
from synctalk.shards.cache import SampleCache
from synctalk.training.batches import batches
from synctalk.training.fit import Task
from synctalk.training.optim import OptimParams

BLANK = PAD
"""The CTC head's blank: padding is no piece of any transcript."""


@section
class FinetuneWeights:
    """lambda of each term (eq. 6)."""

    lip_reading: float
    alignment: float = 0.0
    ctc: float = 0.0
    """CTC beside the decoder, for small corpora; 0 in the paper."""
    audio_lip_reading: float = 0.0
    """Eq. 4 on the audio-only encoding too, which keeps f^a meaningful on small corpora; 0 in the paper."""


@section
class FinetuneParams:
    """One fine-tuned model (params.yaml: `finetune.<name>`)."""

    start: str
    """Model file to begin with: a pre-trained AV-HuBERT, or another fine-tuned model."""
    batch_frames: int = 0
    """Frames of a batch, padding included, in batches of clips of like length; 0: `optim.batch_clips` clips a batch."""
    recompute: bool = False
    """Compute the encoder's layers again in the backward pass: far less memory, a third more time, the same weights."""
    corpora: tuple[str, ...]
    alignment: AlignmentConfig
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


class FinetuneTask(Task[SpeechBatch]):
    """A reader by eq. 6.

    Args:
        model: is trained in place.
        samples: clips with transcripts.
        tokenizer: of the transcripts.
        params: of this model.
        crop: side of the video input, pixels.
        seed: of batches, augmentation and dropout.
    """

    model: AVSyncNet

    def __init__(
        self,
        model: AVSyncNet,
        samples: SampleCache,
        tokenizer: Tokenizer,
        params: FinetuneParams,
        *,
        crop: int,
        seed: int,
    ) -> None:
        self.device = torch_device()
        self.model, self.samples, self.tokenizer = model.to(self.device), samples, tokenizer
        self.params, self.optim, self.crop, self.seed = params, params.optim, crop, seed
        self.weights = vars(params.weights)
        self.clips_of = batches(samples, params.optim.batch_clips, params.batch_frames, seed)
        self.front_end = model.encoder.w2v_model.feature_extractor_video.resnet
        self.features: list[Tensor] = []
        if params.freeze == "front_end":
            self.front_end.requires_grad_(False).eval()
            self.features = front_end_features(model, samples, crop)
        model.encoder.w2v_model.encoder.recompute = params.recompute
        self.tuned = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]

    def collate(self, numbers: list[int], rng: np.random.Generator) -> SpeechBatch:
        if not self.features:
            return speech_batch(self.samples, numbers, crop=self.crop, tokenizer=self.tokenizer, rng=rng)
        batch = speech_batch(self.samples, numbers, crop=self.crop, tokenizer=self.tokenizer, with_video=False)
        return replace(batch, video=pad_stack([self.features[number] for number in numbers]))

    def counts(self, batch: SpeechBatch) -> dict[str, float]:
        pieces, clips, frames = int(batch.target.ne(PAD).sum()), len(batch.numbers), int(batch.n_frames.sum())
        return {"lip_reading": pieces, "audio_lip_reading": pieces, "ctc": clips, "alignment": frames}

    def begin_step(self, step: int) -> None:
        frozen = step < self.params.freeze_steps
        self.front_end.train(not frozen and self.params.freeze == "none")
        for parameter in self.tuned:
            parameter.requires_grad_(not frozen)

    def losses(self, batch: SpeechBatch) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        f_video, terms["lip_reading"], terms["ctc"] = self._read(batch, None, batch.video.to(self.device))
        if self.weights["alignment"] or self.weights["audio_lip_reading"]:
            f_audio, terms["audio_lip_reading"], audio_ctc = self._read(batch, batch.audio.to(self.device), None)
            terms["ctc"] = terms["ctc"] + self.weights["audio_lip_reading"] * audio_ctc
            terms["alignment"] = alignment_loss(
                audio=self.model.comparable(f_audio),
                video=self.model.comparable(f_video),
                padding=batch.padding.to(self.device),
                temperature=self.params.temperature,
            )
        return terms

    def end(self) -> None:
        for parameter in self.tuned:
            parameter.requires_grad_()

    def _read(self, batch: SpeechBatch, audio: Tensor | None, video: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Encoding, decoder loss and CTC loss of one modality."""
        target = batch.target.to(self.device)
        reading = self.model(audio, video, batch.padding.to(self.device), batch.decoder_input.to(self.device))
        decoder = lip_reading_loss(
            logits=reading.logits, target=target, padding_index=PAD, smoothing=self.params.smoothing, reduction="mean"
        )
        ctc = torch.zeros((), device=self.device)
        if reading.ctc_logits is not None:
            pieces = target.masked_fill(target == EOS, PAD)
            ctc = ctc_loss(
                log_probs=reading.ctc_logits.float().log_softmax(-1),
                n_frames=batch.n_frames.to(self.device),
                pieces=pieces,
                n_pieces=pieces.ne(PAD).sum(1),
                blank=BLANK,
            )
        return reading.encoder_out, decoder, ctc
