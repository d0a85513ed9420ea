"""The adversary of eqs. 8-10: discriminator, its optimiser and its losses in one object."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk.losses.adversarial import discriminator_loss, generator_loss
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.training.optim import Optimizer, OptimParams


class Adversary:
    """Usage, once a step: `d = adversary.learn(real, fake, step)`, then `g = adversary.judge(fake)` as a loss term.

    The discriminator's own gradient is cleared before its update (the released code clears the generator's instead,
    so that the generator's gradient leaks into D), and `judge` leaves no gradient in it.

    Args:
        discriminator: gives the probability that a face is real.
        optim: of the discriminator.
        form: `bce` or `printed`, see `losses.adversarial`.
    """

    def __init__(self, discriminator: FaceDiscriminator, optim: OptimParams, form: str) -> None:
        self.discriminator = discriminator
        self.optimizer = Optimizer(discriminator.parameters(), optim)
        self.form = form

    def learn(self, real_faces: Tensor, fake_faces: Tensor, step: int) -> float:
        """One update on real and generated faces [N, 3, S, S]; the loss L_disc (eq. 9)."""
        self.discriminator.requires_grad_(True)
        both = self.discriminator(torch.cat([real_faces, fake_faces.detach()]))
        real, fake = both.chunk(2)
        loss = discriminator_loss(real=real, fake=fake, form=self.form)
        self.optimizer.step(loss, step)
        return float(loss.detach())

    def judge(self, fake_faces: Tensor) -> Tensor:
        """L_gen (eq. 8) of generated faces, with a gradient to them alone."""
        self.discriminator.requires_grad_(False)
        return generator_loss(fake=self.discriminator(fake_faces), form=self.form)
