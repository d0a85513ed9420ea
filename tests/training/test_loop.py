"""The loop: schedules by hand, and a run that is killed and goes on ends with the same bits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from synctalk.errors import UserError
from synctalk.training.loop import TrainState, run_steps, write_curves
from synctalk.training.optim import Optimizer, OptimParams, lr_factor

OPTIM = OptimParams(
    hold_steps=0,
    steps=100, batch_clips=2, lr=0.1, warmup_steps=10, decay="linear", final_lr_ratio=0.1, beta1=0.9, beta2=0.98,
    eps=1e-8, weight_decay=0.0, clip_norm=0.0, micro_batches=1, precision="float32",
)  # fmt: skip


def test_the_learning_rate_warms_up_and_decays_to_its_floor() -> None:
    assert lr_factor(OPTIM, 0, 100) == pytest.approx(0.1)
    assert lr_factor(OPTIM, 9, 100) == pytest.approx(1.0)
    assert lr_factor(OPTIM, 55, 100) == pytest.approx(0.1 + 0.9 * 0.5)
    assert lr_factor(OPTIM, 100, 100) == pytest.approx(0.1)
    cosine = replace(OPTIM, decay="cosine", final_lr_ratio=0.0)
    assert lr_factor(cosine, 55, 100) == pytest.approx(0.5)
    assert lr_factor(replace(OPTIM, decay="none"), 99, 100) == 1.0


def test_tri_stage_warms_up_holds_and_decays_by_a_factor_a_step() -> None:
    """fairseq's tri_stage with 10 steps of warm-up, 20 at the peak and 70 of decay to 5 %."""
    tri_stage = replace(OPTIM, hold_steps=20, decay="exponential", final_lr_ratio=0.05)
    assert lr_factor(tri_stage, 4, 100) == pytest.approx(0.5)
    assert [lr_factor(tri_stage, step, 100) for step in (9, 10, 29, 30)] == pytest.approx([1.0] * 4)
    assert lr_factor(tri_stage, 31, 100) == pytest.approx(0.95811, abs=1e-5)  # exp(ln(0.05) / 70)
    assert lr_factor(tri_stage, 65, 100) == pytest.approx(0.05**0.5)
    assert lr_factor(tri_stage, 100, 100) == pytest.approx(0.05)
    assert lr_factor(replace(tri_stage, decay="linear", final_lr_ratio=0.0), 65, 100) == pytest.approx(0.5)


def test_the_gradient_is_clipped_to_its_norm_and_the_unclipped_norm_is_reported() -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = Optimizer([weight], replace(OPTIM, clip_norm=1.0), 100)
    norm = optimizer.step((weight * torch.tensor([3.0, 4.0])).sum(), 0)
    assert norm == pytest.approx(5.0)
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]), atol=1e-5, rtol=0)


def test_eps_is_added_to_the_root_of_the_second_moment() -> None:
    """Adam's first step is lr g / (|g| + eps), at step 0 of ten of warm-up a tenth of lr."""
    weight = nn.Parameter(torch.zeros(1))
    Optimizer([weight], replace(OPTIM, eps=1.0), 100).step((weight * 3.0).sum(), 0)
    assert float(weight.detach()) == pytest.approx(-0.1 * 0.1 * 3 / (3 + 1))


def make_run(seed: int = 3) -> tuple[TrainState, nn.Module, Optimizer]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = Optimizer(net.parameters(), OPTIM, 100)
    return TrainState({"net": net}, {"adam": optimizer}), net, optimizer


class KilledError(Exception):
    pass


def train(folder: Path, n_steps: int, kill_at: int | None = None) -> nn.Module:
    state, net, optimizer = make_run()

    def step(number: int) -> dict[str, float]:
        if number == kill_at:
            raise KilledError
        loss = net(torch.randn(16, 4)).square().mean()
        optimizer.step(loss, number)
        return {"loss": float(loss.detach())}

    run_steps(state, n_steps, step, seed=5, folder=folder, label="test")
    return net


@pytest.mark.parametrize("kill_at", [1, 7, 19])
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    monkeypatch.setattr("synctalk.training.loop.SAVE_EVERY_S", 0.0)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = train(tmp_path / "whole", 20)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", 20, kill_at)
    resumed = train(tmp_path / "killed", 20)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_losses_that_stay_not_finite_end_the_run_by_name(tmp_path: Path) -> None:
    state, _, _ = make_run()
    with pytest.raises(UserError, match="reconstruction is nan at step 2"):
        run_steps(state, 9, lambda _: {"reconstruction": float("nan")}, seed=0, folder=tmp_path, label="train base")


def test_gradients_that_are_not_finite_change_nothing_and_are_named_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps 1 and 3: the loss itself is finite, its gradient is not; the run goes on with weights that are."""
    state, net, optimizer = make_run()
    weights = []

    def step(number: int) -> dict[str, float]:
        weights.append(net[0].weight.detach().clone())
        out = net(torch.ones(2, 4))
        loss = ((out * 0).abs().sqrt() if number in (1, 3) else out.square()).sum()
        optimizer.step(loss, number)
        return {"loss": float(loss.detach())}

    run_steps(state, 6, step, seed=0, folder=tmp_path, label="train base")
    same = [torch.equal(a, b) for a, b in pairwise(weights)]
    assert same == [False, True, False, True, False]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train base: gradient")]
    assert len(lines) == 2
    assert "gradient of adam is nan at step 3" in lines[1]
    assert "(2 so far)" in lines[1]
    assert (state.faults, state.faults_in_row) == (2, 0)


def test_every_validated_step_is_in_the_curves(tmp_path: Path) -> None:
    state, _, _ = make_run()

    def step(number: int) -> dict[str, float]:
        return {"loss": 1.0} | ({"validation": float(number)} if (number + 1) % 4 == 0 else {})

    run_steps(state, 14, step, seed=0, folder=tmp_path, label="test")
    assert [(at, value) for at, name, value in state.curves if name == "validation"] == [(3, 3), (7, 7), (11, 11)]
    assert [at for at, name, _ in state.curves if name == "loss"] == [0, 3, 7, 10, 11, 13]


def test_curves_are_one_row_a_step(tmp_path: Path) -> None:
    write_curves(tmp_path / "curves.csv", [(0, "a", 1.0), (0, "b", 2.0), (10, "a", 0.5)])
    assert (tmp_path / "curves.csv").read_text() == "step,a,b\n0,1,2\n10,0.5,\n"


def test_threads_do_not_race_in_the_gradient_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are gathered several times: large enough for torch to accumulate their gradient in several threads."""
    monkeypatch.setenv("SYNCTALK_DEVICE", "cpu")
    rows = torch.randint(7, (4096,), generator=torch.Generator().manual_seed(1))
    factors = torch.rand(4096, 64, generator=torch.Generator().manual_seed(0)) * 1e3
    gradients = []

    def train_step(step: int) -> dict[str, float]:
        table = torch.zeros(7, 3, 64, requires_grad=True)
        (table[rows, rows % 3] * factors).sum().backward()
        gradients.append(table.grad)
        return {"loss": 0.0}

    state, _, _ = make_run()
    run_steps(state, 30, train_step, seed=1, folder=tmp_path, label="race")
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
    assert not torch.are_deterministic_algorithms_enabled()
