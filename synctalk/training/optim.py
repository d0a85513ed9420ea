"""Optimiser and learning-rate schedule, from one section of params.yaml."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from synctalk.params.section import section
from synctalk.training.processes import mean_gradients


@section
class AdamParams:
    """Adam and its schedule: linear warm-up, the peak held, then decay to `final_lr_ratio` of it over the steps that
    remain.

    With exponential decay this is fairseq's `tri_stage`, but for its first step, which is at 1 % of the peak there. The
    defaults are torch's, at a constant rate.
    """

    lr: float
    """Peak learning rate."""
    warmup_steps: int = 0
    hold_steps: int = 0
    """Steps at the peak after the warm-up."""
    decay: Literal["none", "linear", "cosine", "exponential"] = "none"
    final_lr_ratio: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    """Added to the root of the second moment. torch: 1e-8; AV-HuBERT's pre-training: 1e-6."""
    weight_decay: float = 0.0
    """Decoupled (AdamW)."""
    clip_norm: float = 0.0
    """Largest norm of the whole gradient; 0 = no limit."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of matrix products and convolutions; weights, moments and losses are in float32. Half precision scales the loss
    so that small gradients do not vanish.
    """


@section
class OptimParams(AdamParams):
    """Adam, and the steps and batches of a run."""

    steps: int
    batch_clips: int
    micro_batches: int = 1
    """Parts that each process goes through its share of a batch in, one after the other: less memory, more time."""


def lr_factor(params: AdamParams, step: int, steps: int) -> float:
    """Share of the peak learning rate at `step` (0-based) of `steps`, 0..1."""
    if step < params.warmup_steps:
        return (step + 1) / params.warmup_steps
    begin = params.warmup_steps + params.hold_steps
    if params.decay == "none" or step < begin:
        return 1.0
    done = (step - begin) / max(1, steps - begin)
    if params.decay == "exponential":
        return float(params.final_lr_ratio**done)
    remaining = 1 - done if params.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return params.final_lr_ratio + (1 - params.final_lr_ratio) * remaining


class Optimizer:
    """AdamW over `parameters`, with gradient clipping, stepping along the schedule of `params` over `steps`.

    A step is `clear`, `backward` of any number of losses, `update`. A gradient whose norm is not finite changes neither
    weights nor moments, which one NaN would spoil for good.

    Attributes:
        norm: of the last gradient, before clipping; `run_steps` names it where it is not finite.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], params: AdamParams, steps: int) -> None:
        self.params, self.steps = params, steps
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.adam = torch.optim.AdamW(
            self.parameters,
            lr=params.lr,
            betas=(params.beta1, params.beta2),
            eps=params.eps,
            weight_decay=params.weight_decay,
            fused=True,
        )
        self.device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=params.precision == "float16")
        self.norm = 0.0

    def autocast(self) -> torch.autocast:
        """Context in which networks compute in the precision of the params."""
        dtype = torch.bfloat16 if self.params.precision == "bfloat16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.params.precision != "float32")

    def clear(self) -> None:
        """Forget the gradient."""
        self.adam.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of `loss`, a scalar in float32."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch has no types here

    def update(self, step: int) -> float:
        """Change the weights by the mean of all processes' gradients where it is finite; its norm before clipping.

        A gradient that overflows because its loss was scaled too far counts as 0: the scale is halved for the next.
        """
        mean_gradients(self.parameters)
        self.scaler.unscale_(self.adam)
        self.norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.params.clip_norm or math.inf))
        for group in self.adam.param_groups:
            group["lr"] = self.params.lr * lr_factor(self.params, step, self.steps)
        finite, scale = math.isfinite(self.norm), self.scaler.get_scale()
        if finite:
            self.scaler.step(self.adam)
        self.scaler.update()
        if not finite and self.scaler.get_scale() < scale and scale > 1:
            self.norm = 0.0
        return self.norm

    def step(self, loss: Tensor, step: int) -> float:
        """`clear`, `backward` and `update` for a loss that is whole."""
        self.clear()
        self.backward(loss)
        return self.update(step)

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
