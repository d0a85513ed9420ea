"""95 % intervals over clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A figure over clips and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


def ratio_interval(numerator: NDArray[np.float64], denominator: NDArray[np.float64], seed: int = 0) -> Interval:
    """sum(numerator) / sum(denominator) over clips, resampled by clip; a mean has a denominator of ones, WER has words.

    Args:
        numerator: per clip, [n].
        denominator: per clip, [n], not all zero.
        seed: of the resampling.
    """
    n = len(numerator)
    picks = np.random.default_rng(seed).integers(0, n, size=(N_RESAMPLES, n))
    ratios = numerator[picks].sum(1) / np.maximum(denominator[picks].sum(1), 1e-12)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Interval(float(numerator.sum() / denominator.sum()), float(low), float(high), n)


@dataclass(frozen=True)
class PerClip:
    """A figure of every clip, as a part of a ratio: their sums are divided.

    Attributes:
        ids: clips, none twice.
        numerator: [n].
        denominator: [n]; ones for a mean.
    """

    ids: Sequence[str]
    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]


def paired_difference(first: PerClip, second: PerClip, seed: int = 0) -> Interval | None:
    """first minus second over the clips that both have, both resampled with the same clips; None without such clips.

    Args:
        first: of one method.
        second: of another.
        seed: of the resampling.
    """
    indices = {clip: index for index, clip in enumerate(second.ids)}
    pairs = [(index, indices[clip]) for index, clip in enumerate(first.ids) if clip in indices]
    if not pairs:
        return None
    mine, other = np.asarray(pairs).T
    sides = [
        (first.numerator[mine], first.denominator[mine]),
        (second.numerator[other], second.denominator[other]),
    ]
    picks = np.random.default_rng(seed).integers(0, len(pairs), size=(N_RESAMPLES, len(pairs)))
    resampled = [top[picks].sum(1) / np.maximum(bottom[picks].sum(1), 1e-12) for top, bottom in sides]
    value = [float(top.sum() / max(bottom.sum(), 1e-12)) for top, bottom in sides]
    low, high = np.percentile(resampled[0] - resampled[1], [2.5, 97.5])
    return Interval(value[0] - value[1], float(low), float(high), len(pairs))
