"""The adversary of eqs. 8-10: discriminator, its optimiser and its losses in one object."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synctalk.losses.adversarial import discriminator_loss, generator_loss
from synctalk.runtime.device import torch_device
from synctalk.training.fit import share_of
from synctalk.training.generator_batches import TalkingFaceBatch
from synctalk.training.methods import AdversaryParams
from synctalk.training.optim import Optimizer
from synctalk.training.processes import n_processes, sums
from synctalk.training.terms import MadeFaces


class Adversary:
    """Gives the term `adversarial` of each micro-batch; `learn`, once a step, updates it on the same faces.

    The generator is updated first, as in the peers. The discriminator's own gradient is cleared before its update (the
    released code clears the generator's instead, so that the generator's gradient leaks into D), and the term leaves no
    gradient in it.

    Args:
        discriminator: gives the probability that a face [N, 3, S, S] is real; is trained in place.
        params: form, frames and optimiser.
        steps: of the run.
        micro_batches: of the generator, which share `params.frames`.
    """

    gives = frozenset({"adversarial"})
    audio_kind = None

    def __init__(self, discriminator: nn.Module, params: AdversaryParams, steps: int, micro_batches: int = 1) -> None:
        self.discriminator = discriminator.to(torch_device()).train()
        self.optimizer = Optimizer(discriminator.parameters(), params.optim, steps)
        self.form = params.form
        self.n_frames = max(1, params.frames // (n_processes() * micro_batches)) if params.frames else None
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def counts(self, batch: TalkingFaceBatch) -> dict[str, float | None]:
        """Frames that it sees."""
        return {"adversarial": len(batch.frame[: self.n_frames])}

    def terms(self, made: MadeFaces, batch: TalkingFaceBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """L_gen (eq. 8) of frames that are drawn anew each step, with a gradient to the generated faces alone."""
        drawn = torch.randperm(len(batch.frame), generator=rng)[: self.n_frames].to(made.faces.device)
        fake_faces = made.faces[drawn]
        self.pairs.append((made.target[drawn], fake_faces.detach()))
        self.discriminator.requires_grad_(False)
        return {"adversarial": generator_loss(fake=self.discriminator(fake_faces), form=self.form)}

    def learn(self, step: int) -> dict[str, float]:
        """One update on the real and generated faces of this step's micro-batches: L_disc (eq. 9); none, no update."""
        if not self.pairs:
            return {}
        self.discriminator.requires_grad_(True)
        self.optimizer.clear()
        total = sums({"faces": sum(len(real) for real, _ in self.pairs)})["faces"]
        mean = 0.0
        for real_faces, fake_faces in self.pairs:
            with self.optimizer.autocast():
                real, fake = self.discriminator(torch.cat([real_faces, fake_faces])).chunk(2)
            loss = discriminator_loss(real=real, fake=fake, form=self.form)
            share = share_of(len(real_faces), total)
            self.optimizer.backward(loss * (share * n_processes()))
            mean += float(loss.detach()) * share
        self.optimizer.update(step)
        self.pairs.clear()
        return sums({"discriminator": mean})
