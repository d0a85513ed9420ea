"""One trainer for all networks: a task says what a batch, its losses and their weights are; `fit` does the rest.

Every loss term is a mean over something that a batch has a number of: frames, word pieces, clips. A micro-batch's mean
counts by its share of that number, so that any division of a batch gives the gradient of the whole batch, to rounding.
What a network itself computes over a batch (batch norm, unpaired frames of a contrastive loss) sees a micro-batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from torch import Tensor, nn

from synctalk.losses.total import weighted_total
from synctalk.runtime.device import torch_device
from synctalk.training.loop import Stateful, TrainState, run_steps
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.processes import n_processes, own_share, rank, sums

Batch = TypeVar("Batch")


class Task(ABC, Generic[Batch]):
    """What one training learns.

    Attributes:
        model: is trained in place.
        optim: how.
        seed: of batches and of all that is drawn in them.
        clips_of: numbers of the clips of each step.
        weights: of each term; those of weight 0 are reported only.
    """

    model: nn.Module
    optim: OptimParams
    seed: int
    clips_of: Callable[[int], list[int]]
    weights: Mapping[str, float]

    @abstractmethod
    def collate(self, numbers: list[int], rng: np.random.Generator) -> Batch:
        """A micro-batch of the clips `numbers`; `rng` depends on seed, step and the micro-batch's number."""

    @abstractmethod
    def counts(self, batch: Batch) -> Mapping[str, float | None]:
        """How many things each term of a micro-batch is a mean over; None for a term that is a sum."""

    @abstractmethod
    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """The terms of a micro-batch, scalars."""

    def begin_step(self, step: int) -> None:
        """Before each step: what learns in it."""

    def end_step(self, step: int) -> Mapping[str, float]:
        """After the update of `model`: other updates, and what they report."""
        return {}

    def end(self) -> None:
        """After the last step."""

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds beside `model`."""
        return {}

    def optimizers(self) -> dict[str, Stateful]:
        """Those beside `model`'s own."""
        return {}


def share_of(count: float | None, total: float) -> float:
    """By how much a micro-batch's term counts in that of the batch, 0..1; a sum counts whole."""
    return 1.0 if count is None else count / max(total, 1)


def training_step(task: Task[Batch], optimizer: Optimizer, step: int) -> dict[str, float]:
    """Update `task.model` once; the mean of every term over the whole batch, and the gradient's norm.

    Raises:
        UserError: fewer clips than micro-batches.
    """
    micro = task.optim.micro_batches
    shares = own_share(task.clips_of(step), micro)
    rngs = [np.random.default_rng([task.seed, step, 1, rank() * micro + number]) for number in range(micro)]
    batches = [task.collate(share, rng) for share, rng in zip(shares, rngs, strict=True)]
    of_batch = [dict(task.counts(batch)) for batch in batches]
    totals = sums({name: sum(count[name] or 0 for count in of_batch) for name in of_batch[0]})
    means: dict[str, float] = {}
    optimizer.clear()
    for batch, count in zip(batches, of_batch, strict=True):
        with optimizer.autocast():
            terms = task.losses(batch)
        share = {name: share_of(count[name], totals[name]) for name in terms}
        # gradients become their mean over the processes
        scaled = {name: term * (share[name] * n_processes()) for name, term in terms.items()}
        optimizer.backward(weighted_total(terms=scaled, weights=task.weights))
        for name, term in terms.items():
            means[name] = means.get(name, 0.0) + float(term.detach()) * share[name]
    norm = optimizer.update(step)
    return sums(means) | {"gradient_norm": norm}


def fit(task: Task[Batch], *, folder: Path, label: str) -> TrainState:
    """Train `task.model` in place, on the device; it comes back to the CPU in eval mode.

    Args:
        task: what is learnt.
        folder: scratch, for the checkpoint: a run that was cut off goes on there and ends with the same bits.
        label: of the progress bar.

    Raises:
        UserError: fewer clips than micro-batches, or training diverged.
    """
    task.model.to(torch_device()).train()
    optimizer = Optimizer(task.model.parameters(), task.optim, task.optim.steps)
    state = TrainState(
        modules={"model": task.model, **task.modules()}, optimizers={"model": optimizer, **task.optimizers()}
    )

    def train_step(step: int) -> dict[str, float]:
        task.begin_step(step)
        return {**training_step(task, optimizer, step), **task.end_step(step)}

    run_steps(state, task.optim.steps, train_step, seed=task.seed, folder=folder, label=label)
    task.end()
    for module in state.modules.values():
        module.cpu().eval()
    return state
