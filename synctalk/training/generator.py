"""Training the generator: the common start, and every method by its entry under `methods:` (eqs. 7-13)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from synctalk.checkpoints.typed import load_generator
from synctalk.errors import UserError
from synctalk.faces.crop import mouth_region
from synctalk.features.tokens import Tokenizer
from synctalk.losses.reconstruction import reconstruction_loss
from synctalk.models.generator import FaceGenerator, NetworkParams
from synctalk.models.synctalklip import generator_input
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache, long_enough
from synctalk.training.adversary import Adversary
from synctalk.training.batches import batches_of
from synctalk.training.fit import Task
from synctalk.training.generator_batches import TalkingFaceBatch, talking_face_batch
from synctalk.training.loop import Stateful, step_seed
from synctalk.training.methods import MethodParams, TrainParams, phase_at
from synctalk.training.networks import NETWORKS
from synctalk.training.processes import n_processes, rank, sums
from synctalk.training.terms import MadeFaces, TermSource


def begin_generator(
    sizes: NetworkParams, network: str, supervisor: nn.Module, start: Path | None, *, seed: int
) -> tuple[FaceGenerator, nn.Module]:
    """Generator and discriminator, fresh or from the model folder `start`, as `network` takes them over.

    Raises:
        UserError: no such network, or it cannot begin with this supervisor.
    """
    if network not in NETWORKS:
        raise UserError(network, "is no network", f"take one of {', '.join(NETWORKS)}")
    begin = None if start is None else load_generator(start / "model.safetensors")
    torch.manual_seed(seed)
    model = NETWORKS[network].begin(sizes, supervisor, begin)
    return model, model.discriminator(sizes)


def mouth_weights(face_size: int, mouth_weight: float) -> Tensor:
    """Weight of each pixel in eq. 7, [S, S]: `mouth_weight` in the mouth region, 1 elsewhere."""
    weight = torch.ones(face_size, face_size)
    weight[mouth_region(face_size)] = mouth_weight
    return weight


def require_terms(sources: Sequence[TermSource], method: MethodParams, params: TrainParams) -> None:
    """Check that every term that has a weight can be had, and that every phase has a term to learn from.

    Raises:
        UserError: no source gives it; a phase has no term with a weight; the phases are out of order.
    """
    phase_at(params.phases, 0)
    given = frozenset({"reconstruction"}).union(*(source.gives for source in sources))
    missing = [name for name, weight in vars(method.weights).items() if weight and name not in given]
    if missing:
        who = f"{method.network} with the supervisor {method.supervisor or 'none'}"
        raise UserError("weights", f"{who} has no term {missing[0]}", "let its weight be 0, or take another supervisor")
    for name, phase in params.phases.items():
        if not any(getattr(method.weights, term) for term in phase.terms):
            reason = f"no term of {', '.join(phase.terms) or 'none'} has a weight"
            raise UserError(f"phases.{name}", reason, "add a term that the method gives a weight")


class GeneratorTask(Task[TalkingFaceBatch]):
    """A generator and, where its term has a weight, its adversary.

    Args:
        model: the generator; is trained in place.
        samples: training clips.
        tokenizer: of the transcripts.
        method: weights of the terms.
        params: steps, phases, windows.
        supervisors: give the terms beside reconstruction and the adversary's.
        adversary: gives `adversarial`, and is updated after the generator.
        held_out: clips for validation; needed where `params.validation` asks for it.
        crop: side of the supervisor's video input, pixels.
        seed: of batches, windows and negatives.

    Raises:
        UserError: see `require_terms`; or all clips are too short.
    """

    model: FaceGenerator

    def __init__(
        self,
        model: FaceGenerator,
        samples: SampleCache,
        tokenizer: Tokenizer,
        method: MethodParams,
        params: TrainParams,
        *,
        supervisors: Sequence[TermSource] = (),
        adversary: Adversary | None = None,
        held_out: SampleCache | None = None,
        crop: int,
        seed: int,
    ) -> None:
        self.sources: list[TermSource] = [*supervisors, *([adversary] if adversary else [])]
        require_terms(self.sources, method, params)
        self.model, self.samples, self.tokenizer, self.adversary = model, samples, tokenizer, adversary
        self.method, self.params, self.optim, self.crop, self.seed = method, params, params.optim, crop, seed
        self.device = torch_device()
        model.channels_last().to(self.device).train()
        # the optimiser owns what any phase trains
        model.tune_audio_encoder(max(phase.tuned_audio_layers for phase in params.phases.values()))
        averaged = get_ema_multi_avg_fn(params.ema_decay)  # type: ignore[no-untyped-call]  # torch has no types here
        self.average = AveragedModel(model, multi_avg_fn=averaged) if params.ema_decay else None
        self.pixel_weight = mouth_weights(model.face_size, params.mouth_weight).to(self.device)
        self.with_mel = "mel" in {model.audio_kind, *(source.audio_kind for source in self.sources)}
        longer = params.window_frames + 1
        self.clips_of = batches_of(long_enough(samples, longer), params.optim.batch_clips, seed)
        self.held_out = held_out if params.validation.every else None
        self.validated = long_enough(self.held_out, longer)[: params.validation.clips] if self.held_out else []

    def modules(self) -> dict[str, nn.Module]:
        found = {"discriminator": self.adversary.discriminator if self.adversary else None, "average": self.average}
        return {name: module for name, module in found.items() if module is not None}

    def optimizers(self) -> dict[str, Stateful]:
        return {"discriminator": self.adversary.optimizer} if self.adversary else {}

    def collate(self, numbers: list[int], rng: np.random.Generator) -> TalkingFaceBatch:
        return self._batch(self.samples, numbers, self.params.window_share, rng)

    def counts(self, batch: TalkingFaceBatch) -> dict[str, float | None]:
        counts: dict[str, float | None] = {"reconstruction": len(batch.frame)}
        for source in self.sources:
            counts |= source.counts(batch)
        return counts

    def begin_step(self, step: int) -> None:
        phase = phase_at(self.params.phases, step)
        self.model.tune_audio_encoder(phase.tuned_audio_layers)
        self.weights = {name: weight * (name in phase.terms) for name, weight in vars(self.method.weights).items()}
        self.rng = torch.Generator().manual_seed(step_seed(self.seed, step, rank()))

    def losses(self, batch: TalkingFaceBatch) -> dict[str, Tensor]:
        made = self.make(batch)
        terms = {"reconstruction": self._reconstruction(made)}
        for source in self.sources:
            if any(self.weights[name] for name in source.gives):
                terms |= source.terms(made, batch, self.rng)
        return terms

    def end_step(self, step: int) -> dict[str, float]:
        scalars = self.adversary.learn(step) if self.adversary else {}
        if self.average:
            self.average.update_parameters(self.model)
        if self.held_out and (step + 1) % self.params.validation.every == 0:
            scalars["validation"] = sums({"loss": self.validate() / n_processes()})["loss"]
        return scalars

    def end(self) -> None:
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())

    def make(self, batch: TalkingFaceBatch) -> MadeFaces:
        """What the generator makes of a batch."""
        target = batch.target_faces.to(self.device, memory_format=torch.channels_last)
        faces = generator_input(target, batch.reference_faces.to(self.device))
        whole, padding = batch.audio(self.model.audio_kind).to(self.device), batch.speech.padding.to(self.device)
        audio = self.model.encode_audio(whole, padding, batch.frame_index.to(self.device))
        return MadeFaces(faces=self.model.make(audio.embedding, faces).float(), target=target, audio=audio)

    @torch.no_grad()
    def validate(self) -> float:
        """Eq. 7 of a window of each of the clips held out: the same windows every time."""
        assert self.held_out is not None
        self.model.eval()
        rng = np.random.default_rng([self.seed, 2])
        loss = self._reconstruction(self.make(self._batch(self.held_out, self.validated, 0.0, rng)))
        self.model.train()
        return float(loss)

    def _reconstruction(self, made: MadeFaces) -> Tensor:
        return reconstruction_loss(generated_faces=made.faces, target_faces=made.target, weight=self.pixel_weight)

    def _batch(
        self, samples: SampleCache, numbers: list[int], share: float, rng: np.random.Generator
    ) -> TalkingFaceBatch:
        return talking_face_batch(
            samples,
            numbers,
            crop=self.crop,
            window=self.params.window_frames,
            share=share,
            tokenizer=self.tokenizer,
            rng=rng,
            with_mel=self.with_mel,
        )
