"""What `fit` does around the steps of a task, by a task of one weight whose course is computed beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synctalk.training.fit import Task, fit, share_of
from synctalk.training.loop import Stateful
from synctalk.training.optim import AdamParams, Optimizer, OptimParams

OPTIM = OptimParams(steps=4, batch_clips=3, lr=0.1)
ROWS = torch.tensor([[1.0, 2.0], [0.5, -1.0], [-2.0, 1.0]])


class Course(Task[Tensor]):
    """Rows dotted with a weight, squared; it writes down what it is asked for. Another module learns beside it."""

    def __init__(self, optim: OptimParams = OPTIM) -> None:
        self.model = nn.Linear(2, 1, bias=False)
        self.model.weight.data[:] = torch.tensor([[0.3, -0.2]])
        self.other = nn.Linear(1, 1)
        self.other_optimizer = Optimizer(self.other.parameters(), AdamParams(lr=0.1), optim.steps)
        self.optim, self.seed, self.weights = optim, 7, {"square": 1.0}
        self.clips_of = lambda step: [step % 3, (step + 1) % 3]
        self.asked: list[str] = []
        self.trained_in: list[bool] = []

    def collate(self, numbers: list[int], rng: np.random.Generator) -> Tensor:
        self.asked.append(f"collate {numbers}")
        return ROWS[numbers] + float(rng.random())

    def counts(self, batch: Tensor) -> dict[str, float]:
        return {"square": len(batch)}

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        self.trained_in.append(self.model.training)
        return {"square": self.model(batch).square().mean()}

    def begin_step(self, step: int) -> None:
        self.asked.append(f"begin {step}")

    def end_step(self, step: int) -> dict[str, float]:
        self.asked.append(f"end {step}")
        self.other_optimizer.step(self.other(torch.ones(1, 1)).sum(), step)
        return {"reported": 10.0 + step}

    def end(self) -> None:
        self.asked.append("over")

    def modules(self) -> dict[str, nn.Module]:
        return {"other": self.other}

    def optimizers(self) -> dict[str, Stateful]:
        return {"other": self.other_optimizer}


def test_a_step_begins_draws_its_clips_and_ends_and_the_run_is_over_once(tmp_path: Path) -> None:
    task = Course()
    state = fit(task, folder=tmp_path, label="test")
    assert task.asked == [
        word for step in range(4) for word in (f"begin {step}", f"collate {[step % 3, (step + 1) % 3]}", f"end {step}")
    ] + ["over"]
    assert task.trained_in == [True] * 4
    assert state.step == 4
    assert ("reported", 10.0) in {(name, value) for _, name, value in state.curves}
    # whatever learnt comes back ready to be used
    assert not task.model.training
    assert not task.other.training


def test_the_course_is_torchs_adamw_on_each_steps_own_gradient(tmp_path: Path) -> None:
    """A gradient that was not cleared, or of other clips or another draw, would lead elsewhere."""
    task = Course()
    weight = nn.Parameter(task.model.weight.detach().clone())
    adam = torch.optim.AdamW([weight], lr=0.1, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0)
    squares = []
    for step in range(4):
        shift = float(np.random.default_rng([7, step, 1, 0]).random())
        loss = (ROWS[[step % 3, (step + 1) % 3]] + shift).matmul(weight.T).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        squares.append(float(loss.detach()))
    state = fit(task, folder=tmp_path, label="test")
    torch.testing.assert_close(task.model.weight.detach(), weight.detach(), rtol=1e-5, atol=1e-6)
    assert [value for _, name, value in state.curves if name == "square"] == pytest.approx([squares[0], squares[3]])


def test_all_that_learns_is_in_the_checkpoint(tmp_path: Path) -> None:
    fit(Course(), folder=tmp_path, label="test")
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["modules"].keys() == {"model", "other"}
    assert saved["optimizers"].keys() == {"model", "other"}
    assert saved["step"] == 4


def test_a_share_by_hand() -> None:
    assert share_of(3, 12) == 0.25
    assert share_of(1, 1) == 1.0
    assert share_of(None, 12) == 1.0  # a sum counts whole
    assert share_of(0, 0) == 0.0  # nothing of nothing


def test_settings_of_adam_that_are_not_given_are_those_of_the_peers() -> None:
    params = OptimParams(steps=1, batch_clips=1, lr=0.1)
    assert (params.beta1, params.beta2, params.eps) == (0.9, 0.98, 1e-8)  # fairseq's AV-HuBERT, but for its eps
    assert (params.decay, params.final_lr_ratio, params.warmup_steps, params.hold_steps) == ("none", 1.0, 0, 0)
    assert (params.weight_decay, params.clip_norm, params.precision, params.micro_batches) == (0.0, 0.0, "float32", 1)
