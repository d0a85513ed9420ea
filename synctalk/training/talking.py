"""Training the generator: the common start, and every method by its entry under `methods:` (eqs. 7-13)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from synctalk.checkpoints.typed import load_generator
from synctalk.errors import UserError
from synctalk.faces.crop import mouth_region
from synctalk.features.tokens import Tokenizer
from synctalk.losses.contrastive import contrastive_loss, draw_negatives
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.losses.reconstruction import reconstruction_loss
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.models.generator import AudioEncoding, FaceGenerator, TalkLipGenerator, gather_frames
from synctalk.models.lip_reader import PAD
from synctalk.models.synctalklip import generator_input
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.training.adversary import Adversary
from synctalk.training.data import SampleCache, batch_numbers, long_enough
from synctalk.training.loop import TrainState, run_steps, step_seed
from synctalk.training.networks import NETWORKS, NetworkParams
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.processes import leads, n_processes, rank, sums
from synctalk.training.schedule import Average, PhaseParams, Schedule, ValidationParams
from synctalk.training.step import training_step
from synctalk.training.supervisor import Supervisor
from synctalk.training.talking_data import TalkingFaceBatch, talking_face_batch
from synctalk.training.wav2lip_expert import Wav2LipSupervisor


@section
class GeneratorWeights:
    """lambda of each term (eq. 13)."""

    reconstruction: float = 0.0
    adversarial: float = 0.0
    lip_reading: float = 0.0
    contrastive: float = 0.0
    sync: float = 0.0
    """Wav2Lip's: of its expert (Prajwal et al. 2020, eq. 2)."""


Watcher: TypeAlias = Supervisor | Wav2LipSupervisor
"""Frozen networks that watch the generated faces."""


@section
class ContrastiveParams:
    """The contrastive loss (eqs. 11-12)."""

    form: Literal["released", "printed", "infonce"]
    """As in the paper's `released` code, as `printed` in eqs. 11 and 12, or TalkLip's `infonce`."""
    negatives: Literal["clip", "batch"]
    """Where unpaired frames come from."""
    temperature: float = 1.0
    """tau, of the printed form."""
    margin: float = 1.0
    """Hinge of the printed form."""


@section
class MethodParams:
    """One trained method (params.yaml: `methods.<name>`)."""

    network: str
    """What is trained, by the recipe `train.<network>`: a key of `training.networks.NETWORKS`."""
    supervisor: str
    """Model folder of the frozen network that supervises. A reader gives lip reading and the contrastive loss (and
    SyncTalklip's audio encoder begins as its encoder), Wav2Lip's expert gives `sync`.
    """
    audio_anchor: Literal["tuned", "frozen"] = "tuned"
    """Audio side of that loss: the generator's own encoder, or its supervisor's (frozen)."""
    contrastive: ContrastiveParams
    weights: GeneratorWeights


@section
class AdversaryParams:
    """The discriminator's training (params.yaml: `train.<network>.adversary`)."""

    optim: OptimParams
    form: Literal["bce", "printed"] = "bce"
    frames: int = 0
    """Made frames of a step that the discriminator sees, drawn anew each step; 0 = all, as in the peers."""


@section
class TrainParams:
    """How generators are trained (params.yaml: `start` and `train.<network>`)."""

    optim: OptimParams
    adversary: AdversaryParams | None = None
    """The discriminator; a recipe without one has no adversarial loss."""
    discriminator_optim: OptimParams | None = None
    window_frames: int
    """Consecutive frames that are made at a time: 5 in the peers."""
    window_share: float = 0.0
    """Windows for each frame of a clip: 0.08 in the peers; at least one is drawn."""
    mouth_weight: float
    """Weight of the mouth region in eq. 7; 1 in the paper."""
    smoothing: float = 0.1
    """Label smoothing of the lip-reading loss."""
    lip_reduction: Literal["sum", "mean"] = "mean"
    """Over tokens: the peers sum, with a weight of 1e-5."""
    adversarial_form: Literal["bce", "printed"] = "bce"
    adversary_frames: int = 0
    phases: dict[str, PhaseParams]
    """In their order; the first begins at step 0."""
    validation: ValidationParams
    ema_decay: float = 0.0
    """Decay of the moving average of the weights, which is what is kept in the end; 0 = the weights themselves, as in
    the peers.
    """


RECONSTRUCTION_ONLY = MethodParams(
    network="synctalklip",
    supervisor="",
    audio_anchor="tuned",
    contrastive=ContrastiveParams(form="released", negatives="batch", temperature=1.0, margin=1.0),
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.0, lip_reading=0.0, contrastive=0.0, sync=0.0),
)
"""The common start: eq. 7 alone."""


def begin_generator(
    params: NetworkParams, network: str, supervisor: nn.Module, start: Path | None, *, seed: int
) -> tuple[FaceGenerator, FaceDiscriminator]:
    """Generator and discriminator, fresh or from the model folder `start`, as `network` takes them over.

    Raises:
        UserError: no such network, or it cannot begin with this supervisor.
    """
    if network not in NETWORKS:
        raise UserError(network, "is no network", f"take one of {', '.join(NETWORKS)}")
    begin = None if start is None else load_generator(start / "model.safetensors")
    torch.manual_seed(seed)
    model = NETWORKS[network](params, supervisor, begin)
    return model, FaceDiscriminator(params.discriminator)


def mouth_weights(face_size: int, mouth_weight: float) -> Tensor:
    """Weight of each pixel in eq. 7, [S, S]: `mouth_weight` in the mouth region, 1 elsewhere."""
    weight = torch.ones(face_size, face_size)
    weight[mouth_region(face_size)] = mouth_weight
    return weight


def contrastive_term(
    model: TalkLipGenerator,
    supervisor: Supervisor,
    batch: TalkingFaceBatch,
    tuned_encoding: Tensor,
    video_encoding: Tensor,
    method: MethodParams,
    generator: torch.Generator,
) -> Tensor:
    """L_cav (eq. 12) of the made frames: sound and generated lips in the supervisor's distance space."""
    device = video_encoding.device
    index = batch.frame_index.to(device)
    anchor = tuned_encoding if method.audio_anchor == "tuned" else supervisor.encode_audio(batch)
    audio = model.sync_net(gather_frames(supervisor.model.comparable(anchor), index))
    video = F.normalize(gather_frames(supervisor.model.comparable(video_encoding), index), dim=-1)
    group = batch.clip if method.contrastive.negatives == "clip" else torch.zeros_like(batch.clip)
    return contrastive_loss(
        audio=audio,
        video=video,
        negatives=draw_negatives(len(index), group, generator).to(device),
        form=method.contrastive.form,
        temperature=method.contrastive.temperature,
        margin=method.contrastive.margin,
    )


def require_terms(
    model: FaceGenerator,
    supervisor: Watcher | None,
    method: MethodParams,
    phases: Mapping[str, PhaseParams],
) -> None:
    """Check that every term that has a weight can be had, and that every phase has a term to learn from.

    Raises:
        UserError: the supervisor, or the network, does not give it; a phase has no term with a weight.
    """
    given = {"reconstruction", "adversarial"} | (supervisor.gives if supervisor else set())
    if not isinstance(model, TalkLipGenerator):
        given -= {"contrastive"}
    missing = [name for name, weight in vars(method.weights).items() if weight and name not in given]
    if missing:
        who = f"{method.network} with the supervisor {method.supervisor or 'none'}"
        raise UserError("weights", f"{who} has no term {missing[0]}", "let its weight be 0, or take another supervisor")
    for name, phase in phases.items():
        if not any(getattr(method.weights, term) for term in phase.terms):
            reason = f"no term of {', '.join(phase.terms) or 'none'} has a weight"
            raise UserError(f"phases.{name}", reason, "add a term that the method gives a weight")


def watched_terms(
    model: FaceGenerator,
    supervisor: Watcher,
    batch: TalkingFaceBatch,
    heard: AudioEncoding,
    generated: Tensor,
    method: MethodParams,
    params: TrainParams,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """The terms that `supervisor` gives of the generated faces [N, 3, S, S]."""
    if isinstance(supervisor, Wav2LipSupervisor):
        return {"sync": supervisor.sync_term(generated, batch)}
    watched = supervisor.supervise(generated, batch)
    terms = {
        "lip_reading": lip_reading_loss(
            logits=watched.logits,
            target=batch.speech.target.to(generated.device),
            padding_index=PAD,
            smoothing=params.smoothing,
            reduction=params.lip_reduction,
        )
    }
    if isinstance(model, TalkLipGenerator) and heard.encoding is not None:
        terms["contrastive"] = contrastive_term(
            model, supervisor, batch, heard.encoding, watched.video_encoding, method, rng
        )
    return terms


@torch.no_grad()
def validate(
    model: FaceGenerator,
    held_out: SampleCache,
    numbers: list[int],
    tokenizer: Tokenizer,
    params: TrainParams,
    pixel_weight: Tensor,
    *,
    crop: int,
    seed: int,
) -> float:
    """Reconstruction loss (eq. 7) of a window of each of the clips `numbers` held out: the same windows every time."""
    device = pixel_weight.device
    batch = talking_face_batch(
        held_out,
        numbers,
        crop=crop,
        window=params.window_frames,
        share=0.0,
        tokenizer=tokenizer,
        rng=np.random.default_rng([seed, 2]),
        with_mel=model.audio_kind == "mel",
    )
    target = batch.target_faces.to(device)
    model.eval()
    heard = model.encode_audio(
        batch.sound(model.audio_kind).to(device), batch.speech.padding.to(device), batch.frame_index.to(device)
    )
    generated = model.make(heard.embedding, generator_input(target, batch.reference_faces.to(device)))
    model.train()
    return float(reconstruction_loss(generated_faces=generated, target_faces=target, weight=pixel_weight))


@dataclass(frozen=True)
class Judged:
    """A batch, and which of its made frames the discriminator sees, int64 [n]."""

    batch: TalkingFaceBatch
    judged: Tensor


def term_counts(drawn: Judged, params: TrainParams) -> dict[str, float | None]:
    """What each term of a batch is a mean over; None where it is a sum."""
    batch = drawn.batch
    frames, pieces = len(batch.frame), int(batch.speech.target.ne(PAD).sum())
    return {
        "reconstruction": frames,
        "adversarial": len(drawn.judged),
        "lip_reading": pieces if params.lip_reduction == "mean" else None,
        "contrastive": frames,
        "sync": len(batch.window_start),
    }


def train_generator(
    model: FaceGenerator,
    discriminator: FaceDiscriminator,
    supervisor: Watcher | None,
    samples: SampleCache,
    tokenizer: Tokenizer,
    method: MethodParams,
    params: TrainParams,
    *,
    held_out: SampleCache | None = None,
    crop: int,
    seed: int,
    folder: Path,
    label: str,
) -> TrainState:
    """Train `model` and its discriminator in place.

    Args:
        model: the generator.
        discriminator: its adversary; trained where the adversarial weight is not 0.
        supervisor: gives the terms beside reconstruction and the adversary's.
        samples: training clips.
        tokenizer: of the transcripts.
        method: losses, anchor, weights.
        params: steps, phases, windows, forms.
        held_out: clips for validation; needed where `params.validation` asks for it.
        crop: side of the supervisor's video input, pixels.
        seed: of batches, windows and negatives.
        folder: scratch, for the checkpoint.
        label: of the progress bar.

    Raises:
        UserError: a term that has a weight cannot be had, a phase has none, the phases are out of order, all clips are
            too short, or training diverged.
    """
    device = torch_device()
    require_terms(model, supervisor, method, params.phases)
    schedule = Schedule(params.phases, params.optim.steps, params.validation.patience)
    model.channels_last().to(device).train()
    # the optimiser owns what any phase trains
    model.tune_audio_encoder(max(phase.tuned_audio_layers for phase in params.phases.values()))
    discriminator.to(device).train()
    judged = params.adversary or AdversaryParams(
        optim=params.discriminator_optim or params.optim, form=params.adversarial_form, frames=params.adversary_frames
    )
    adversary = Adversary(discriminator, judged.optim, judged.form)
    optimizer = Optimizer(model.parameters(), params.optim)
    with_mel = model.audio_kind == "mel" or isinstance(supervisor, Wav2LipSupervisor)
    average = Average(model, params.ema_decay) if params.ema_decay else None
    modules = {"generator": model, "discriminator": discriminator, "schedule": schedule, "duel": adversary.duel}
    state = TrainState(
        modules=modules | ({"average": average} if average else {}),
        optimizers={"generator": optimizer, "discriminator": adversary.optimizer},
    )
    pixel_weight = mouth_weights(model.face_size, params.mouth_weight).to(device)
    checks = params.validation
    usable = long_enough(samples, params.window_frames + 1)
    watched = (
        long_enough(held_out, params.window_frames + 1)[: checks.clips] if held_out is not None and checks.every else []
    )
    parts = n_processes() * params.optim.micro_batches
    n_judged = max(1, judged.frames // parts) if judged.frames else None

    def collate(numbers: list[int], rng: np.random.Generator) -> Judged:
        batch = talking_face_batch(
            samples,
            [usable[number] for number in numbers],
            crop=crop,
            window=params.window_frames,
            share=params.window_share,
            tokenizer=tokenizer,
            rng=rng,
            with_mel=with_mel,
        )
        return Judged(batch, torch.from_numpy(rng.permutation(len(batch.frame))[:n_judged]))

    def train_step(step: int) -> dict[str, float]:
        at = schedule.step_at(step)
        phase = schedule.phase(at)
        model.tune_audio_encoder(phase.tuned_audio_layers)
        weights = {name: weight * (name in phase.terms) for name, weight in vars(method.weights).items()}
        rng = torch.Generator().manual_seed(step_seed(seed, step, rank()))
        pairs: list[tuple[Tensor, Tensor]] = []

        def losses(drawn: Judged) -> dict[str, Tensor]:
            batch = drawn.batch
            target = batch.target_faces.to(device, memory_format=torch.channels_last)
            faces = generator_input(target, batch.reference_faces.to(device))
            sound, padding = batch.sound(model.audio_kind).to(device), batch.speech.padding.to(device)
            heard = model.encode_audio(sound, padding, batch.frame_index.to(device))
            generated = model.make(heard.embedding, faces).float()
            terms = {
                "reconstruction": reconstruction_loss(
                    generated_faces=generated, target_faces=target, weight=pixel_weight
                )
            }
            if weights["adversarial"]:
                seen = drawn.judged.to(device)
                pairs.append((target[seen], generated[seen].detach()))
                terms["adversarial"] = adversary.judge(generated[seen])
            if supervisor is not None and any(weights[name] for name in supervisor.gives):
                terms |= watched_terms(model, supervisor, batch, heard, generated, method, params, rng)
            return terms

        numbers = batch_numbers(len(usable), params.optim.batch_clips, seed, step)
        scalars = training_step(
            optimizer,
            step,
            numbers,
            at=at,
            seed=seed,
            collate=collate,
            counts=lambda drawn: term_counts(drawn, params),
            losses=losses,
            weights=weights,
        )
        if pairs:
            scalars["discriminator"] = adversary.learn(pairs, at)
        if average:
            average.update(model, step)
        if held_out is not None and checks.every and (at + 1) % checks.every == 0:
            loss = validate(model, held_out, watched, tokenizer, params, pixel_weight, crop=crop, seed=seed)
            scalars["validation"] = sums({"loss": loss / n_processes()})["loss"]
            ended = schedule.validated(scalars["validation"], at)
            if ended and leads():
                tqdm.write(f"{label}: phase {ended} ends early, at step {at} of its schedule", sys.stderr)
        return scalars

    def is_over() -> bool:
        return schedule.step_at(state.step) >= params.optim.steps

    run_steps(state, params.optim.steps, train_step, seed=seed, folder=folder, label=label, is_over=is_over)
    if average:
        average.write_to(model)
    for module in (model, discriminator):
        module.cpu().eval()
    return state
