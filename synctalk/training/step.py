"""One step of training: a batch in micro-batches, over several processes, in a precision; one gradient.

Every loss term is a mean over something that a batch has a number of: frames, word pieces, clips. A micro-batch's mean
counts by its share of that number, so that any division of a batch gives the gradient of the whole batch, to rounding.
What a network itself computes over a batch (batch norm, unpaired frames of a contrastive loss) sees a micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor

from synctalk.losses.total import weighted_total
from synctalk.training.optim import Optimizer
from synctalk.training.processes import n_processes, own_share, rank, sums

Batch = TypeVar("Batch")


def share_of(count: float | None, total: float) -> float:
    """By how much a micro-batch's term counts in that of the batch, 0..1; a sum counts whole."""
    return 1.0 if count is None else count / max(total, 1)


def training_step(
    optimizer: Optimizer,
    step: int,
    numbers: Sequence[int],
    *,
    seed: int,
    at: int | None = None,
    collate: Callable[[list[int], np.random.Generator], Batch],
    counts: Callable[[Batch], Mapping[str, float | None]],
    losses: Callable[[Batch], Mapping[str, Tensor]],
    weights: Mapping[str, float],
) -> dict[str, float]:
    """Update once from the clips `numbers`; the mean of every term over the whole batch, and the gradient's norm.

    Args:
        optimizer: of what is trained; its params say the micro-batches and the precision.
        step: number of the step.
        numbers: clips of the whole batch.
        seed: of the run.
        at: where the optimiser is in its schedule, where phases have ended early; `step` where None.
        collate: reads a micro-batch: its clips, and a source of chance that depends on the seed, the step and the place
            of the micro-batch in it.
        counts: how many things each term of a micro-batch is a mean over; None for a term that is a sum.
        losses: the terms.
        weights: of the terms; those of weight 0 are reported only.

    Raises:
        UserError: fewer clips than micro-batches.
    """
    micro = optimizer.params.micro_batches
    shares = own_share(numbers, micro)
    rngs = [np.random.default_rng([seed, step, 1, rank() * micro + place]) for place in range(micro)]
    batches = [collate(share, rng) for share, rng in zip(shares, rngs, strict=True)]
    of_batch = [dict(counts(batch)) for batch in batches]
    totals = sums({name: sum(count[name] or 0 for count in of_batch) for name in of_batch[0]})
    means: dict[str, float] = {}
    optimizer.clear()
    for batch, count in zip(batches, of_batch, strict=True):
        with optimizer.autocast():
            terms = losses(batch)
        share = {name: share_of(count[name], totals[name]) for name in terms}
        # gradients become their mean over the processes
        scaled = {name: term * (share[name] * n_processes()) for name, term in terms.items()}
        optimizer.backward(weighted_total(terms=scaled, weights=weights))
        for name, term in terms.items():
            means[name] = means.get(name, 0.0) + float(term.detach()) * share[name]
    norm = optimizer.update(step if at is None else at)
    return sums(means) | {"gradient_norm": norm}
