"""95 % intervals over clips."""

from __future__ import annotations

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
