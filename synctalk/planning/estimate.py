"""Totals of a corpus from random samples of its clips, with their intervals (Cochran, ch. 2 and 12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of the intervals."""


@dataclass(frozen=True)
class Estimate:
    """A total of the corpus, and half the width of its interval of `CONFIDENCE`; infinite where one clip was tried."""

    value: float
    margin: float = 0.0

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.value * factor, self.margin * factor)


def _half_width(values: NDArray[np.float64], n_all: int) -> float:
    """Of the interval of a mean from values of a random sample, without replacement, of `n_all`."""
    n = len(values)
    if n == n_all:
        return 0.0
    if n < 2:
        return inf
    from scipy.stats import t

    student = float(t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return student * sqrt((1 - n / n_all) * float(values.var(ddof=1)) / n)


def expand_mean(values: Sequence[float], n_all: int) -> Estimate:
    """Total over `n_all` clips from the values of a random sample of them."""
    array = np.asarray(values, np.float64)
    return Estimate(float(array.mean()), _half_width(array, n_all)).times(n_all)


def expand_ratio(values: Sequence[float], frames: Sequence[float], n_all: int, all_frames: Estimate) -> Estimate:
    """Total over `n_all` clips from the values and frames of a random sample of them, and from the frames of all.

    The errors of the ratio and of the frames are taken to be independent.
    """
    y, x = np.asarray(values, np.float64), np.asarray(frames, np.float64)
    ratio = float(y.sum() / x.sum())
    of_ratio = _half_width(y - ratio * x, n_all) / float(x.mean()) * all_frames.value
    return Estimate(ratio * all_frames.value, sqrt(of_ratio**2 + (ratio * all_frames.margin) ** 2))


def sum_estimates(estimates: Iterable[Estimate]) -> Estimate:
    """Of estimates that err together: one sample tells them all."""
    parts = list(estimates)
    return Estimate(sum(part.value for part in parts), sum(part.margin for part in parts))
