"""A step is the same however its batch is divided: into micro-batches, or over processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import OPTIM, curve
from test_train_generator import TRAIN
from tiny import CROP, reader, samples, tokenizer
from torch import Tensor, nn

from synctalk.errors import UserError
from synctalk.models.av_syncnet import AlignmentConfig
from synctalk.training.finetune import FinetuneParams, FinetuneTask, FinetuneWeights
from synctalk.training.fit import Task, fit, training_step
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.processes import own_share

READING = FinetuneParams(
    start="", batch_frames=0, recompute=False, freeze_steps=0, corpora=("lrs2",), temperature=1.0, smoothing=0.1,
    alignment=AlignmentConfig(kind="local", kernel=1),
    weights=FinetuneWeights(lip_reading=1.0, alignment=1.0, ctc=0.5, audio_lip_reading=0.5), freeze="front_end",
    optim=replace(OPTIM, steps=11, batch_clips=4),
)  # fmt: skip

GENERATING = replace(TRAIN, optim=replace(OPTIM, steps=4, batch_clips=4))


class Fit(Task[Tensor]):
    """One weight to rows of unequal length, a mean over their elements."""

    def __init__(self, numbers: list[int], optim: OptimParams) -> None:
        self.model, self.optim, self.seed = nn.ParameterList([torch.tensor([0.5, -1.0])]), optim, 0
        self.clips_of = lambda _: numbers
        self.weights = {"fit": 2.0, "seen": 0.0}
        self.rows = [torch.arange(2.0 * (number + 1)).reshape(-1, 2) + number for number in range(5)]

    def collate(self, numbers: list[int], _: np.random.Generator) -> Tensor:
        return torch.cat([self.rows[number] for number in numbers])

    def counts(self, batch: Tensor) -> dict[str, float]:
        return {"fit": len(batch), "seen": len(batch)}

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        return {"fit": (batch @ self.model[0]).square().mean(), "seen": batch[:, 0].mean()}


def one_step(numbers: list[int], micro_batches: int, precision: str = "float32") -> tuple[dict[str, float], Tensor]:
    """What is reported, and the gradient."""
    task = Fit(numbers, replace(OPTIM, clip_norm=0.0, micro_batches=micro_batches, precision=precision))
    reported = training_step(task, Optimizer(task.model.parameters(), task.optim, 1), 0)
    assert task.model[0].grad is not None
    return reported, task.model[0].grad


def test_the_mean_is_over_all_elements_and_not_over_the_means_of_parts() -> None:
    """Rows of 1, 2, .. 5 pairs: 15 pairs in all, so the mean of five means would be another number."""
    rows = torch.cat([torch.arange(2.0 * (number + 1)).reshape(-1, 2) + number for number in range(5)])
    weight = torch.tensor([0.5, -1.0], requires_grad=True)
    loss = (rows @ weight).square().mean()
    (2 * loss).backward()
    for micro_batches in (1, 2, 5):
        reported, gradient = one_step([0, 1, 2, 3, 4], micro_batches)
        assert reported["fit"] == pytest.approx(float(loss.detach()), rel=1e-5)
        assert reported["seen"] == pytest.approx(float(rows[:, 0].mean()), rel=1e-5)
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-5, atol=0)
        assert reported["gradient_norm"] == pytest.approx(float(weight.grad.norm()), rel=1e-5)


def test_bfloat16_rounds_products_and_nothing_else() -> None:
    exact, _ = one_step([0, 1, 2, 3, 4], 1)
    rounded, gradient = one_step([0, 1, 2, 3, 4], 1, "bfloat16")
    assert gradient.dtype == torch.float32
    assert rounded["fit"] != exact["fit"]
    assert rounded["fit"] == pytest.approx(exact["fit"], rel=0.02)


def test_a_batch_smaller_than_its_parts_is_refused() -> None:
    with pytest.raises(UserError, match=r"2 clips.*micro-batches.*raise batch_clips or batch_frames"):
        own_share([1, 2], 3)


def test_parts_are_the_batch_in_its_order() -> None:
    assert own_share([7, 3, 9, 1, 4], 2) == [[7, 3, 9], [1, 4]]


def losses_in_half_precision(scale: float) -> tuple[Optimizer, nn.Parameter]:
    weight = nn.Parameter(torch.ones(1))
    optimizer = Optimizer([weight], replace(OPTIM, precision="float16"), 60)
    optimizer.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return optimizer, weight


def test_a_scale_that_overflows_is_halved_and_changes_nothing() -> None:
    optimizer, weight = losses_in_half_precision(2.0**127)
    assert optimizer.step((weight * 1e3).sum(), 5) == 0.0
    assert float(weight.detach()) == 1.0
    assert optimizer.scaler.get_scale() == 2.0**126


def test_an_infinite_gradient_at_scale_one_is_named_as_a_fault() -> None:
    optimizer, weight = losses_in_half_precision(1.0)
    assert optimizer.step((weight * float("inf")).sum(), 5) == float("inf")
    assert float(weight.detach()) == 1.0


def test_the_scale_does_not_touch_the_gradient_and_survives_a_checkpoint() -> None:
    optimizer, weight = losses_in_half_precision(2.0**10)
    assert optimizer.step((weight * 0.25).sum(), 5) == pytest.approx(0.25)
    other, _ = losses_in_half_precision(1.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.scaler.get_scale() == optimizer.scaler.get_scale()


def test_micro_batches_give_the_learning_curve_of_the_whole_batch(tmp_path: Path) -> None:
    curves = []
    cache, pieces = samples(tmp_path / "shards", 6), tokenizer()
    for micro_batches in (1, 3):
        folder = tmp_path / str(micro_batches)
        folder.mkdir()
        torch.manual_seed(1)
        params = replace(READING, optim=replace(READING.optim, micro_batches=micro_batches))
        state = fit(FinetuneTask(reader(), cache, pieces, params, crop=CROP, seed=1), folder=folder, label="test")
        curves.append([curve(state, name) for name in ("lip_reading", "alignment", "ctc", "gradient_norm")])
    torch.testing.assert_close(torch.tensor(curves[0]), torch.tensor(curves[1]), rtol=2e-4, atol=1e-5)


def shared_run(*words: object, launch: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """tests/training/shared_run.py."""
    paths = os.pathsep.join(map(str, Path(__file__).parents[0:3]))
    return subprocess.run(
        [sys.executable, *launch, str(Path(__file__).with_name("shared_run.py")), *map(str, words)],
        env=os.environ | {"PYTHONPATH": paths, "SYNCTALK_THREADS": "1", "SYNCTALK_DEVICE": "cpu"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a run: of one process and of two, undisturbed, and of a generator that lost a process and went on."""
    root = tmp_path_factory.mktemp("trained")
    for name in ("one", "two", "generator", "killed-generator"):
        (root / name).mkdir()
    done = shared_run(
        "reader", root / "one", -1, 1,
        "reader", root / "two", -1, 2,
        "generator", root / "generator", -1, 2,
        "generator", root / "killed-generator", 2, 2,
        "generator", root / "killed-generator", -1, 2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, True, True, False, True], done.stderr
    return root


def weights(folder: Path, process: int = 0) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = torch.load(folder / f"weights-{process}.pt", weights_only=True)
    return kept


def curves(folder: Path) -> dict[str, list[float]]:
    return json.loads((folder / "curves-0.json").read_text())


def assert_same_bits(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


@pytest.mark.cluster
def test_two_processes_learn_as_one(trained: Path) -> None:
    """The same global batch."""
    one, two = curves(trained / "one"), curves(trained / "two")
    assert one.keys() == two.keys() == {"lip_reading", "alignment", "ctc", "audio_lip_reading", "gradient_norm"}
    for name in one:
        assert one[name] == pytest.approx(two[name], rel=2e-4, abs=1e-5), name
    assert one["lip_reading"][-1] < one["lip_reading"][0]


@pytest.mark.cluster
def test_under_torchrun_a_killed_process_takes_the_other_along_and_the_next_pair_goes_on(
    trained: Path, tmp_path: Path
) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert shared_run("reader", tmp_path, 6, launch=torchrun).returncode != 0
    assert not (tmp_path / "curves-0.json").exists()
    assert next(tmp_path.glob(".synctalk/scratch/*/checkpoint.pt"))  # there is something to go on with
    done = shared_run("reader", tmp_path, -1, launch=torchrun)
    assert done.returncode == 0, done.stderr
    assert_same_bits(weights(trained / "two"), weights(tmp_path))


@pytest.mark.cluster
def test_two_processes_train_one_generator_and_go_on_after_a_kill(trained: Path) -> None:
    """Generator and discriminator stay the same in both, though batch norm sees a process's own share."""
    assert_same_bits(weights(trained / "generator", 0), weights(trained / "generator", 1))
    assert {"reconstruction", "adversarial", "lip_reading", "contrastive", "discriminator"} < curves(
        trained / "generator"
    ).keys()
    assert_same_bits(weights(trained / "generator"), weights(trained / "killed-generator"))
