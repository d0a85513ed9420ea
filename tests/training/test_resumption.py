"""A run that was cut off does the steps that are left and no other: beginning anew would end with the same bits."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from overfit import OPTIM
from torch import nn

from synctalk.errors import UserError
from synctalk.training import loop
from synctalk.training.loop import TrainState, run_steps
from synctalk.training.optim import Optimizer


class CutOffError(Exception):
    """In the place of a kill."""


def steps_done(folder: Path, n_steps: int, cut_at: int | None = None) -> tuple[list[int], TrainState]:
    """Numbers of the steps that this run does, up to where it is cut off; and its state."""
    net = nn.Linear(2, 1)
    optimizer = Optimizer(net.parameters(), OPTIM, 20)
    state, done = TrainState({"net": net}, {"adam": optimizer}), []

    def step(number: int) -> dict[str, float]:
        if number == cut_at:
            raise CutOffError
        done.append(number)
        loss = net(torch.ones(1, 2)).square().sum()
        optimizer.step(loss, number)
        return {"loss": float(loss.detach())}

    with suppress(CutOffError):
        run_steps(state, n_steps, step, seed=1, folder=folder, label="test", log_every=2)
    return done, state


def test_what_was_saved_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    assert steps_done(tmp_path, 9, cut_at=4)[0] == [0, 1, 2, 3]
    done, state = steps_done(tmp_path, 9)
    assert done == [4, 5, 6, 7, 8]
    # and the curves go on where they were
    assert [step for step, _, _ in state.curves] == [0, 2, 4, 6, 8]
    assert steps_done(tmp_path, 9)[0] == []
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_between_savings_nothing_is_written_and_the_end_always_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 1e9)
    steps_done(tmp_path, 9, cut_at=4)
    assert list(tmp_path.iterdir()) == []
    assert steps_done(tmp_path, 9)[0] == list(range(9))
    assert (tmp_path / "checkpoint.pt").is_file()


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    steps_done(tmp_path, 2)
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:400])
    with pytest.raises(
        UserError, match=r"checkpoint\.pt: is a damaged checkpoint; delete it: training then begins anew"
    ):
        steps_done(tmp_path, 3)


def test_a_value_that_is_no_number_is_in_no_curve(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)
    state = TrainState({"net": net}, {"adam": Optimizer(net.parameters(), OPTIM, 3)})

    def step(number: int) -> dict[str, float]:
        return {"loss": float("nan") if number == 1 else float(number), "rate": 0.5}

    run_steps(state, 3, step, seed=1, folder=tmp_path, label="test", log_every=1)
    assert state.curves == [(0, "loss", 0.0), (0, "rate", 0.5), (1, "rate", 0.5), (2, "loss", 2.0), (2, "rate", 0.5)]
    assert state.faults == 1
