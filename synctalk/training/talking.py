"""Training the generator: the common start, and every method by its entry under `methods:` (eqs. 7-13)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from synctalk.checkpoints.typed import load_synctalklip
from synctalk.faces.crop import mouth_region
from synctalk.losses.contrastive import contrastive_loss, draw_negatives
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.losses.reconstruction import reconstruction_loss
from synctalk.losses.total import weighted_total
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.models.generator import gather_frames
from synctalk.models.lip_reader import PAD
from synctalk.models.synctalklip import SyncTalklip, SyncTalklipConfig, generator_input
from synctalk.section import section
from synctalk.training.adversary import Adversary
from synctalk.training.data import SampleCache, batch_numbers
from synctalk.training.loop import TrainState, device, run_steps, step_seed
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.supervisor import Supervisor
from synctalk.training.talking_data import TalkingFaceBatch, talking_face_batch
from synctalk.training.text import Tokenizer


@section
class GeneratorWeights:
    """lambda of each term (eq. 13)."""

    reconstruction: float
    adversarial: float
    lip_reading: float
    contrastive: float


@section
class ContrastiveParams:
    """The contrastive loss (eqs. 11-12)."""

    form: Literal["released", "printed", "infonce"]
    negatives: Literal["clip", "batch"]
    """Where unpaired frames come from."""
    temperature: float
    """tau, of the printed form."""
    margin: float
    """Hinge of the printed form."""


@section
class MethodParams:
    """One trained method (params.yaml: `methods.<name>`)."""

    network: Literal["synctalklip"]
    supervisor: str
    """Fine-tuned model that watches, and whose encoder the audio encoder begins as: a key of `finetune`."""
    audio_anchor: Literal["tuned", "frozen"]
    """Audio side of the contrastive loss: the generator's own encoder (base), or the supervisor's (variant freeze)."""
    contrastive: ContrastiveParams
    weights: GeneratorWeights


@section
class TrainParams:
    """How generators are trained (params.yaml: `start` and `train`)."""

    optim: OptimParams
    discriminator_optim: OptimParams
    window_frames: int
    """Consecutive frames that are made at a time: 5 in the peers."""
    window_share: float
    """Windows for each frame of a clip: 0.08 in the peers; at least one is drawn."""
    mouth_weight: float
    """Weight of the mouth region in eq. 7; 1 in the paper."""
    smoothing: float
    """Label smoothing of the lip-reading loss."""
    lip_reduction: Literal["sum", "mean"]
    """Over tokens: the peers sum, with a weight of 1e-5."""
    adversarial_form: Literal["bce", "printed"]
    adversary_frames: int
    """Made frames of a step that the discriminator sees, drawn anew each step; 0 = all, as in the peers."""
    tuned_audio_layers: int
    """Top layers of the audio encoder that are trained; the rest of it stays frozen. Peers: 3."""


RECONSTRUCTION_ONLY = MethodParams(
    network="synctalklip",
    supervisor="",
    audio_anchor="tuned",
    contrastive=ContrastiveParams(form="released", negatives="batch", temperature=1.0, margin=1.0),
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.0, lip_reading=0.0, contrastive=0.0),
)
"""The common start: eq. 7 alone."""


def begin_generator(
    config: SyncTalklipConfig, supervisor: AVSyncNet, start: Path | None, *, seed: int
) -> tuple[SyncTalklip, FaceDiscriminator]:
    """Generator and discriminator, fresh or from the model folder `start`; the audio encoder is the supervisor's."""
    torch.manual_seed(seed)
    model = SyncTalklip(config, supervisor.config.encoder)
    discriminator = FaceDiscriminator(config.discriminator)
    if start is not None:
        model.load_state_dict(load_synctalklip(start / "model.safetensors").state_dict())
    model.begin_as(supervisor.encoder.w2v_model.state_dict())
    return model, discriminator


def mouth_weights(face_size: int, mouth_weight: float) -> Tensor:
    """Weight of each pixel in eq. 7, [S, S]: `mouth_weight` in the mouth region, 1 elsewhere."""
    weight = torch.ones(face_size, face_size)
    weight[mouth_region(face_size)] = mouth_weight
    return weight


def freeze_audio_encoder(model: SyncTalklip, tuned_layers: int) -> None:
    """Leave a gradient in the top `tuned_layers` Transformer layers of the audio encoder and in its last norm only."""
    encoder = model.audio_encoder.w2v_model
    encoder.requires_grad_(False)
    if tuned_layers > 0:
        encoder.encoder.layer_norm.requires_grad_(True)
        for layer in list(encoder.encoder.layers)[-tuned_layers:]:
            layer.requires_grad_(True)


def contrastive_term(
    model: SyncTalklip,
    supervisor: Supervisor,
    batch: TalkingFaceBatch,
    tuned_encoding: Tensor,
    video_encoding: Tensor,
    method: MethodParams,
    generator: torch.Generator,
) -> Tensor:
    """L_cav (eq. 12) of the made frames: sound and generated lips in the supervisor's distance space."""
    place = video_encoding.device
    index = batch.frame_index.to(place)
    anchor = tuned_encoding if method.audio_anchor == "tuned" else supervisor.hear(batch)
    audio = model.sync_net(gather_frames(supervisor.model.comparable(anchor), index))
    video = F.normalize(gather_frames(supervisor.model.comparable(video_encoding), index), dim=-1)
    group = batch.clip if method.contrastive.negatives == "clip" else torch.zeros_like(batch.clip)
    return contrastive_loss(
        audio=audio,
        video=video,
        negatives=draw_negatives(len(index), group, generator).to(place),
        form=method.contrastive.form,
        temperature=method.contrastive.temperature,
        margin=method.contrastive.margin,
    )


def train_generator(
    model: SyncTalklip,
    discriminator: FaceDiscriminator,
    supervisor: Supervisor | None,
    samples: SampleCache,
    tokenizer: Tokenizer,
    method: MethodParams,
    params: TrainParams,
    *,
    crop: int,
    seed: int,
    folder: Path,
    label: str,
) -> TrainState:
    """Train `model` and its discriminator in place.

    Args:
        model: the generator.
        discriminator: its adversary; trained where the adversarial weight is not 0.
        supervisor: needed where the lip-reading or the contrastive weight is not 0.
        samples: training clips.
        tokenizer: of the transcripts.
        method: losses, anchor, weights.
        params: steps, windows, forms.
        crop: side of the supervisor's video input, pixels.
        seed: of batches, windows and negatives.
        folder: scratch, for the checkpoint.
        label: of the progress bar.
    """
    place = device()
    model.channels_last().to(place).train()
    freeze_audio_encoder(model, params.tuned_audio_layers)
    discriminator.to(place).train()
    adversary = Adversary(discriminator, params.discriminator_optim, params.adversarial_form)
    optimizer = Optimizer(model.parameters(), params.optim)
    weights = vars(method.weights)
    state = TrainState(
        modules={"generator": model, "discriminator": discriminator},
        optimizers={"generator": optimizer, "discriminator": adversary.optimizer},
    )
    pixel_weight = mouth_weights(model.config.face_size, params.mouth_weight).to(place)
    long_enough = np.flatnonzero(samples.shards.rows.numbers("n_frames") >= params.window_frames).tolist()

    def train_step(step: int) -> dict[str, float]:
        rng = np.random.default_rng([seed, step, 1])
        numbers = batch_numbers(len(long_enough), params.optim.batch_clips, seed, step)
        batch = talking_face_batch(
            samples,
            [long_enough[number] for number in numbers],
            crop=crop,
            window=params.window_frames,
            share=params.window_share,
            tokenizer=tokenizer,
            rng=rng,
        )
        target = batch.target_faces.to(place, memory_format=torch.channels_last)
        faces = generator_input(target, batch.reference_faces.to(place))
        encoding, embedding = model.encode_audio(batch.speech.audio.to(place), batch.speech.padding.to(place))
        generated = model.make(embedding, faces, batch.frame_index.to(place))
        terms = {
            "reconstruction": reconstruction_loss(generated_faces=generated, target_faces=target, weight=pixel_weight)
        }
        scalars: dict[str, float] = {}
        if weights["adversarial"]:
            seen = torch.from_numpy(rng.permutation(len(target))[: params.adversary_frames or None]).to(place)
            scalars["discriminator"] = adversary.learn(target[seen], generated[seen], step)
            terms["adversarial"] = adversary.judge(generated[seen])
        if supervisor is not None and (weights["lip_reading"] or weights["contrastive"]):
            watched = supervisor.watch(generated, batch)
            terms["lip_reading"] = lip_reading_loss(
                logits=watched.logits,
                target=batch.speech.target.to(place),
                padding_index=PAD,
                smoothing=params.smoothing,
                reduction=params.lip_reduction,
            )
            chance = torch.Generator().manual_seed(step_seed(seed, step))
            terms["contrastive"] = contrastive_term(
                model, supervisor, batch, encoding, watched.video_encoding, method, chance
            )
        scalars["gradient_norm"] = optimizer.step(weighted_total(terms=terms, weights=weights), step)
        return {name: float(term.detach()) for name, term in terms.items()} | scalars

    run_steps(state, params.optim.steps, train_step, seed=seed, folder=folder, label=label)
    for module in (model, discriminator):
        module.cpu().eval()
    return state
