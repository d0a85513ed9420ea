"""What the tests of training share: a short schedule, curves read back, and a run that is cut off between updates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from synctalk.features.tokens import Tokenizer
from synctalk.models.generator import FaceGenerator
from synctalk.shards.cache import SampleCache
from synctalk.training.adversary import Adversary
from synctalk.training.fit import fit
from synctalk.training.generator import GeneratorTask
from synctalk.training.loop import TrainState
from synctalk.training.methods import MethodParams, TrainParams
from synctalk.training.optim import AdamParams, Optimizer, OptimParams
from synctalk.training.supervisors import SUPERVISORS, Supervised
from synctalk.training.terms import TermSource

ADAM = AdamParams(
    lr=0.01, warmup_steps=5, hold_steps=0, decay="none", final_lr_ratio=1.0, beta1=0.9, beta2=0.98, eps=1e-8,
    weight_decay=0.0, clip_norm=1.0, precision="float32",
)  # fmt: skip
OPTIM = OptimParams(**vars(ADAM), steps=60, batch_clips=1, micro_batches=1)


def curve(state: TrainState, name: str) -> list[float]:
    """Logged values of one scalar, a row every ten steps."""
    return [value for _, of, value in state.curves if of == name]


class CutOffError(Exception):
    pass


def train_until_update(train: Callable[[Path], nn.Module], folder: Path, number: int) -> None:
    """`train`, which ends with an error just before update `number` (from 0) of any optimiser; all steps are saved."""
    updates = 0
    real = Optimizer.update

    def update(self: Optimizer, step: int) -> float:
        nonlocal updates
        if updates == number:
            raise CutOffError
        updates += 1
        return real(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("synctalk.training.loop.SAVE_EVERY_S", 0.0)
        patch.setattr(Optimizer, "update", update)
        with pytest.raises(CutOffError):
            train(folder)


def assert_resumes(train: Callable[[Path], nn.Module], folder: Path, cut_at: int) -> None:
    """`train` in one go, and cut off before update `cut_at` and gone on with, ends with the same bits."""
    for name in ("whole", "cut"):
        (folder / name).mkdir()
    whole = train(folder / "whole").state_dict()
    train_until_update(train, folder / "cut", cut_at)
    assert 0 < torch.load(folder / "cut" / "checkpoint.pt", weights_only=True)["step"] < cut_at + 1
    resumed = train(folder / "cut").state_dict()
    assert whole.keys() == resumed.keys()
    different = [key for key in whole if not torch.equal(whole[key], resumed[key])]
    assert different == []


def supervised(
    network: nn.Module,
    model: FaceGenerator,
    samples: SampleCache,
    method: MethodParams,
    params: TrainParams,
    crop: int,
) -> TermSource:
    """The frozen `network` as supervisor of `model`."""
    return SUPERVISORS[type(network)].begin(network, Supervised(model, samples, method, params, crop))


def train_generator(
    model: FaceGenerator,
    discriminator: nn.Module,
    supervisor: nn.Module | None,
    samples: SampleCache,
    tokenizer: Tokenizer,
    method: MethodParams,
    params: TrainParams,
    *,
    held_out: SampleCache | None = None,
    crop: int,
    seed: int,
    folder: Path,
) -> TrainState:
    """As the stage `train`, with a frozen network that supervises, or as `start` without one."""
    steps, micro_batches = params.optim.steps, params.optim.micro_batches
    task = GeneratorTask(
        model, samples, tokenizer, method, params, held_out=held_out, crop=crop, seed=seed,
        supervisors=[supervised(supervisor, model, samples, method, params, crop)] if supervisor is not None else [],
        adversary=Adversary(discriminator, params.adversary, steps, micro_batches) if params.adversary else None,
    )  # fmt: skip
    return fit(task, folder=folder, label="test")
