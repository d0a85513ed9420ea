"""The optimizer against torch's own AdamW under the schedule, and what it leaves alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from overfit import OPTIM
from torch import nn

from synctalk.training.optim import Optimizer, OptimParams, lr_factor

PARAMS = replace(
    OPTIM, lr=0.3, warmup_steps=2, hold_steps=1, decay="linear", final_lr_ratio=0.5, beta1=0.7, beta2=0.8, eps=0.01,
    weight_decay=0.1, clip_norm=0.0, precision="float32",
)  # fmt: skip
SHARES = (0.5, 1.0, 1.0, 1.0, 0.875, 0.75)
"""Of the peak at steps 0 to 5 of 7: warm-up of two, one held, four down to a half."""


def gradient(step: int) -> torch.Tensor:
    return torch.tensor([3.0, -4.0]) * (1 + step)


def learnt(params: OptimParams) -> tuple[torch.Tensor, list[float]]:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = Optimizer([weight], params, 7)
    norms = [optimizer.step((weight * gradient(step)).sum(), step) for step in range(len(SHARES))]
    return weight.detach(), norms


def adamw(longest: float) -> torch.Tensor:
    """torch's, whose rate is set by hand; gradients are cut to a norm."""
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    adam = torch.optim.AdamW([weight], betas=(0.7, 0.8), eps=0.01, weight_decay=0.1)
    for step, share in enumerate(SHARES):
        whole = gradient(step)
        weight.grad = whole * min(1.0, longest / float(whole.norm()))
        adam.param_groups[0]["lr"] = 0.3 * share
        adam.step()
    return weight.detach()


@pytest.mark.parametrize("clip_norm", [0.0, 7.0])
def test_it_is_torchs_adamw_under_the_schedule(clip_norm: float) -> None:
    weight, norms = learnt(replace(PARAMS, clip_norm=clip_norm))
    torch.testing.assert_close(weight, adamw(clip_norm or math.inf), rtol=1e-4, atol=1e-6)
    # of the whole gradient, cut or not
    assert norms == pytest.approx([5.0 * (1 + step) for step in range(len(SHARES))])


@pytest.mark.parametrize(
    ("decay", "shares"),
    [
        ("none", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.2]),
        ("cosine", [1, 0.2 + 0.8 * (1 + math.cos(math.pi * 5 / 16)) / 2, 0.6, 0.2]),
        ("exponential", [1, 0.2 ** (5 / 16), 0.2 ** (10 / 16), 0.2]),
    ],
)
def test_every_decay_goes_from_the_peak_to_its_share(decay: str, shares: list[float]) -> None:
    params = replace(PARAMS, warmup_steps=3, hold_steps=1, decay=decay, final_lr_ratio=0.2)
    assert [lr_factor(params, step, 20) for step in (0, 1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    at = (4, 9, 14, 20) if decay != "cosine" else (4, 9, 12, 20)
    assert [lr_factor(params, step, 20) for step in at] == pytest.approx(shares)


def test_a_schedule_without_steps_to_decay_in_stays_at_the_peak() -> None:
    params = replace(PARAMS, warmup_steps=4, hold_steps=4)
    assert lr_factor(params, 7, 8) == lr_factor(params, 8, 8) == 1
    # a single step goes all the way
    assert lr_factor(params, 9, 9) == pytest.approx(0.5)


def test_what_is_frozen_is_not_learnt() -> None:
    frozen, free = nn.Parameter(torch.ones(1), requires_grad=False), nn.Parameter(torch.ones(1))
    optimizer = Optimizer([frozen, free], PARAMS, 7)
    optimizer.step((frozen * free).sum(), 1)
    assert optimizer.parameters == [free]
    assert (float(frozen), float(free.detach()) < 1) == (1, True)


def test_gradients_add_up_until_they_are_cleared() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = Optimizer([weight], PARAMS, 7)
    optimizer.backward(weight.sum())
    optimizer.backward(2 * weight.sum())
    assert optimizer.update(0) == pytest.approx(3)
    assert optimizer.step(weight.sum(), 1) == pytest.approx(1)


def test_a_gradient_that_is_not_finite_changes_nothing_and_is_told() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = Optimizer([weight], PARAMS, 7)
    optimizer.step(weight.sum(), 0)
    before, moments = weight.detach().clone(), optimizer.state_dict()["adam"]["state"][0]["exp_avg"].clone()
    assert math.isnan(optimizer.step((weight * math.nan).sum(), 1))
    assert math.isnan(optimizer.norm)
    assert torch.equal(weight.detach(), before)
    assert torch.equal(optimizer.state_dict()["adam"]["state"][0]["exp_avg"], moments)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)]
)
def test_products_have_the_precision_of_the_params(precision: str, dtype: torch.dtype) -> None:
    optimizer = Optimizer([nn.Parameter(torch.ones(1))], replace(PARAMS, precision=precision), 7)
    with optimizer.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert optimizer.scaler.is_enabled() == (precision == "float16")


def test_moments_go_on_from_a_checkpoint() -> None:
    def run(steps: range, state: dict | None = None) -> tuple[nn.Parameter, Optimizer]:
        weight = nn.Parameter(torch.zeros(1))
        optimizer = Optimizer([weight], PARAMS, 7)
        if state:
            weight.data, _ = state["weight"].clone(), optimizer.load_state_dict(state["optimizer"])
        for step in steps:
            optimizer.step(((weight - step) ** 2).sum(), step)
        return weight, optimizer

    whole, _ = run(range(5))
    half, optimizer = run(range(3))
    resumed, _ = run(range(3, 5), {"weight": half.data, "optimizer": optimizer.state_dict()})
    assert torch.equal(whole, resumed)
