"""Where a run of a generator stands in its phases: named, ended early by validation, and kept in the checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from synctalk.errors import UserError
from synctalk.params.section import section

Term = Literal["reconstruction", "adversarial", "lip_reading", "contrastive", "sync"]


@section
class PhaseParams:
    """A phase of training (params.yaml: `train.<network>.phases.<name>`); it lasts until the next one begins."""

    begin: int
    """First step, 0-based."""
    terms: tuple[Term, ...]
    """Losses that are on, with the method's weights."""
    tuned_audio_layers: int = 0
    """Top layers of a pre-trained audio encoder that are trained; the rest of it stays frozen. Peers: 3."""


@section
class ValidationParams:
    """Reconstruction of clips held out (params.yaml: `train.<network>.validation`): TalkLip's schedule watches it."""

    every: int
    """Steps between validations; 0 = none."""
    clips: int
    """Clips that are validated on."""
    patience: int = 0
    """Validations in a row without a new best, in one phase, after which that phase ends, or in the last one the run;
    0 = all phases last as long as they say. TalkLip: 6 ("more than 5"), where the best of all phases counts.
    """


def phase_at(phases: Mapping[str, PhaseParams], step: int) -> str:
    """Name of the phase that `step` belongs to.

    Raises:
        UserError: none begins at step 0, or they do not begin one after the other.
    """
    begins = [phase.begin for phase in phases.values()]
    if not begins or begins[0] != 0 or sorted(set(begins)) != begins:
        raise UserError("phases", f"begin at {begins}", "let the first begin at 0, and each after the one before")
    return [name for name, phase in phases.items() if phase.begin <= step][-1]


class Schedule(nn.Module):
    """The phases of one run. What it knows is in buffers, so that a checkpoint holds it as it holds weights.

    A phase that ends early takes the schedule, and with it the learning rate, to the step where the next one begins.

    Args:
        phases: by name, in order.
        steps: of the whole schedule.
        patience: see `ValidationParams`.
    """

    skipped: Tensor
    stale: Tensor
    best: Tensor

    def __init__(self, phases: Mapping[str, PhaseParams], steps: int, patience: int) -> None:
        super().__init__()
        phase_at(phases, 0)
        self.phases, self.steps, self.patience = phases, steps, patience
        self.register_buffer("skipped", torch.tensor(0))
        self.register_buffer("stale", torch.tensor(0))
        self.register_buffer("best", torch.tensor(math.inf, dtype=torch.float64))

    def step_at(self, done: int) -> int:
        """Step of the schedule after `done` steps of the run."""
        return done + int(self.skipped)

    def phase(self, step: int) -> PhaseParams:
        """The phase of a step of the schedule."""
        return self.phases[phase_at(self.phases, step)]

    def validated(self, value: float, step: int) -> str | None:
        """Take note of a validation at schedule step `step`; the name of the phase that it ends, if it ends one."""
        better = value < float(self.best)
        self.best.fill_(min(value, float(self.best)))
        self.stale.fill_(0 if better else int(self.stale) + 1)
        if not self.patience or int(self.stale) < self.patience:
            return None
        begins = [phase.begin for phase in self.phases.values() if phase.begin > step]
        self.skipped.add_((min(begins) if begins else self.steps) - step - 1)
        self.stale.zero_()
        self.best.fill_(math.inf)
        return phase_at(self.phases, step)


class Average(nn.Module):
    """Exponential moving average of a network's weights; its counters and running averages are copied.

    The first steps count more: the decay is at most (1 + s) / (10 + s) at step s, as TensorFlow's average has it.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        for name, value in model.state_dict().items():
            self.register_buffer(name.replace(".", "/"), value.detach().clone())

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Draw in the weights after step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        learnt = {name for name, _ in model.named_parameters()}
        for name, value in model.state_dict().items():
            kept = self.get_buffer(name.replace(".", "/"))
            if name in learnt:
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)

    def write_to(self, model: nn.Module) -> None:
        """Give the network the averaged weights."""
        model.load_state_dict({name.replace("/", "."): value for name, value in self.named_buffers()})
