"""Eqs. 8-10: the adversarial losses, on the discriminator's probability that a face is real.

`bce` is what the released code trains (real -> 1, fake -> 0, and -log D(v^) for the generator: the non-saturating
form); `printed` is eqs. 8 and 9 to the letter, in which the discriminator of eq. 9 learns D(real) -> 1 and D(fake)
-> 0 by minimising log(1 - D(v)) + log D(v^), unbounded below. L_gan of eq. 10 is the sum of both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk.losses.cross_entropy import binary_cross_entropy

EPSILON = 1e-6
"""Probabilities are kept this far from 0 and 1 in the printed form, whose logarithms have no floor."""


def generator_loss(*, fake: Tensor, form: str) -> Tensor:
    """Eq. 8, L_gen = E log(1 - D(v^)), or its non-saturating form; `fake`: D(v^), any shape, 0..1; lower fools D
    better.
    """
    fake = fake.float()
    if form == "bce":
        return binary_cross_entropy(fake, 1.0)
    return torch.log((1 - fake).clamp(min=EPSILON)).mean()


def discriminator_loss(*, real: Tensor, fake: Tensor, form: str) -> Tensor:
    """Eq. 9, L_disc = E log(1 - D(v)) + E log D(v^), or binary cross-entropy; lower tells real from fake better."""
    real, fake = real.float(), fake.float()
    if form == "bce":
        return binary_cross_entropy(real, 1.0) + binary_cross_entropy(fake, 0.0)
    return torch.log((1 - real).clamp(min=EPSILON)).mean() + torch.log(fake.clamp(min=EPSILON)).mean()
