"""Optimiser and learning-rate schedule, from one section of params.yaml."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from synctalk.section import section


@section
class OptimParams:
    """Adam and its schedule: linear warm-up, the peak held, then decay to `final_lr_ratio` of it over the steps that
    remain.

    With exponential decay this is fairseq's `tri_stage`, but for its first step, which is at 1 % of the peak there.
    """

    steps: int
    batch_clips: int
    lr: float
    """Peak learning rate."""
    warmup_steps: int
    hold_steps: int
    """Steps at the peak after the warm-up."""
    decay: Literal["none", "linear", "cosine", "exponential"]
    final_lr_ratio: float
    beta1: float
    beta2: float
    weight_decay: float
    """Decoupled (AdamW)."""
    clip_norm: float
    """Largest norm of the whole gradient; 0 = no limit."""


def lr_factor(params: OptimParams, step: int) -> float:
    """Share of the peak learning rate at `step` (0-based), 0..1."""
    if step < params.warmup_steps:
        return (step + 1) / params.warmup_steps
    begin = params.warmup_steps + params.hold_steps
    if params.decay == "none" or step < begin:
        return 1.0
    done = (step - begin) / max(1, params.steps - begin)
    if params.decay == "exponential":
        return float(params.final_lr_ratio**done)
    remaining = 1 - done if params.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return params.final_lr_ratio + (1 - params.final_lr_ratio) * remaining


class Optimizer:
    """AdamW over `parameters`, with gradient clipping, stepping along the schedule of `params`.

    A gradient whose norm is not finite changes neither weights nor moments, which one NaN would spoil for good.

    Attributes:
        norm: of the last gradient, before clipping; `run_steps` names it where it is not finite.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], params: OptimParams) -> None:
        self.params = params
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.adam = torch.optim.AdamW(
            self.parameters,
            lr=params.lr,
            betas=(params.beta1, params.beta2),
            weight_decay=params.weight_decay,
            fused=True,
        )
        self.norm = 0.0

    def step(self, loss: Tensor, step: int) -> float:
        """Clear, back-propagate `loss` and update where the gradient is finite; its norm before clipping."""
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.params.clip_norm or math.inf))
        for group in self.adam.param_groups:
            group["lr"] = self.params.lr * lr_factor(self.params, step)
        if math.isfinite(self.norm):
            self.adam.step()
        return self.norm

    def state_dict(self) -> dict[str, Any]:
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state)
