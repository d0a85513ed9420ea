"""Intervals against scipy's bootstrap, and where they are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from synctalk.evaluation.bootstrap import Interval, ratio_interval


def test_equals_scipys_percentile_bootstrap_of_a_ratio_of_sums() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(3, 12, 60).astype(np.float64)
    edits = rng.binomial(words.astype(int), 0.3).astype(np.float64)
    theirs = bootstrap(
        (edits, words), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, vectorized=True,
        n_resamples=20_000, method="percentile", rng=np.random.default_rng(1),
    )  # fmt: skip
    ours = ratio_interval(edits, words)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.value == edits.sum() / words.sum()
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)
    assert ours.n == 60


def test_two_clips_of_0_and_1_reach_from_0_to_1() -> None:
    # a quarter of the resamples videos the first clip twice, a quarter the second
    assert ratio_interval(np.array([0.0, 1.0]), np.ones(2)) == Interval(0.5, 0.0, 1.0, 2)


def test_numerator_and_denominator_are_resampled_together() -> None:
    words = np.array([1.0, 10.0, 100.0])
    interval = ratio_interval(3 * words, words)
    assert (interval.value, interval.low, interval.high) == pytest.approx((3.0, 3.0, 3.0))


def test_one_clip_has_no_width() -> None:
    assert ratio_interval(np.array([2.0]), np.array([4.0])) == Interval(0.5, 0.5, 0.5, 1)


def test_the_seed_decides_the_resamples() -> None:
    values = np.random.default_rng(2).normal(size=30)
    assert ratio_interval(values, np.ones(30), seed=1) == ratio_interval(values, np.ones(30), seed=1)
    assert ratio_interval(values, np.ones(30), seed=1) != ratio_interval(values, np.ones(30), seed=2)
