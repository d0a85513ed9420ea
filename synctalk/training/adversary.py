"""The adversary of eqs. 8-10: discriminator, its optimiser and its losses in one object."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from synctalk.losses.adversarial import discriminator_loss, generator_loss
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.processes import leads, n_processes, sums
from synctalk.training.step import share_of

SURE = 0.02
"""Mean distance from 0 and 1 within which the discriminator is sure."""
PATIENCE = 50
"""Steps in a row after which a duel counts as decided."""


class Duel(nn.Module):
    """Notices a discriminator that has won, so that its gradient teaches the generator nothing, or has lost.

    The counts are buffers, so that a checkpoint holds them.

    Attributes:
        in_row: decided steps in a row, int64 [2]: won, lost.
        times: how often each went on for `PATIENCE` steps, int64 [2].
    """

    in_row: Tensor
    times: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("in_row", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("times", torch.zeros(2, dtype=torch.int64))

    def note(self, real: Tensor, fake: Tensor) -> Literal["won", "lost"] | None:
        """Take note of the probabilities of a step; the outcome, at the step that decides it.

        It has won where it is sure of real and generated faces and right, and lost where it is sure and wrong about
        either kind.
        """
        mean_real, mean_fake = float(real.detach().mean()), float(fake.detach().mean())
        won = mean_real > 1 - SURE and mean_fake < SURE
        lost = mean_real < SURE or mean_fake > 1 - SURE
        self.in_row.copy_((self.in_row + 1) * torch.tensor([won, lost], device=self.in_row.device))
        decided = self.in_row == PATIENCE
        self.times.add_(decided)
        return ("won" if decided[0] else "lost") if decided.any() else None


class Adversary:
    """Usage, once a step: `judge(fake)` as a loss term of the generator, then `learn` from the same faces.

    The generator is updated first, as in the peers. The discriminator's own gradient is cleared before its update (the
    released code clears the generator's instead, so that the generator's gradient leaks into D), and `judge` leaves no
    gradient in it.

    Args:
        discriminator: gives the probability that a face is real.
        optim: of the discriminator.
        form: `bce` or `printed`, see `losses.adversarial`.
    """

    def __init__(self, discriminator: FaceDiscriminator, optim: OptimParams, form: str) -> None:
        self.discriminator = discriminator
        self.optimizer = Optimizer(discriminator.parameters(), optim)
        self.form = form
        self.duel = Duel()

    def judge(self, fake_faces: Tensor) -> Tensor:
        """L_gen (eq. 8) of generated faces, with a gradient to them alone."""
        self.discriminator.requires_grad_(False)
        return generator_loss(fake=self.discriminator(fake_faces), form=self.form)

    def learn(self, pairs: Sequence[tuple[Tensor, Tensor]], step: int) -> float:
        """One update on real and generated faces, [N, 3, S, S] each, of every micro-batch; the loss L_disc (eq. 9)."""
        self.discriminator.requires_grad_(True)
        self.optimizer.clear()
        total = sums({"faces": sum(len(real) for real, _ in pairs)})["faces"]
        mean = 0.0
        judged = []
        for real_faces, fake_faces in pairs:
            with self.optimizer.autocast():
                both = self.discriminator(torch.cat([real_faces, fake_faces.detach()]))
            real, fake = both.chunk(2)
            loss = discriminator_loss(real=real, fake=fake, form=self.form)
            share = share_of(len(real_faces), total)
            self.optimizer.backward(loss * (share * n_processes()))
            mean += float(loss.detach()) * share
            judged.append((real.detach(), fake.detach()))
        self.optimizer.update(step)
        outcome = self.duel.note(torch.cat([real for real, _ in judged]), torch.cat([fake for _, fake in judged]))
        if outcome and leads():
            what = f"the discriminator has {outcome}, sure of itself for {PATIENCE} steps"
            tqdm.write(f"step {step}: {what}; another learning rate or adversarial weight may help", sys.stderr)
        return sums({"loss": mean})["loss"]
