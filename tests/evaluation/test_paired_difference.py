"""Differences of two methods over the clips that both have, and the ends of every interval, against numpy by hand."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk.evaluation.bootstrap import N_RESAMPLES, Interval, PerClip, paired_difference, ratio_interval


def per_clip(ids: str, numerator: list[float], denominator: list[float]) -> PerClip:
    return PerClip(list(ids), np.array(numerator), np.array(denominator))


def test_clips_of_one_side_alone_do_not_count() -> None:
    first = per_clip("xab", [100.0, 3.0, 5.0], [1.0, 2.0, 2.0])
    second = per_clip("bay", [2.0, 1.0, 50.0], [4.0, 4.0, 1.0])
    # over a and b: 8 / 4 less 3 / 8
    found = paired_difference(first, second)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(2 - 3 / 8), 2)


def test_without_a_clip_of_both_there_is_no_difference() -> None:
    assert paired_difference(per_clip("a", [1.0], [1.0]), per_clip("b", [1.0], [1.0])) is None


def test_both_sides_are_resampled_with_the_same_clips() -> None:
    # the second is the first less 3 in every clip: no width, however the clips are drawn
    values = list(np.random.default_rng(0).normal(size=8))
    lower = [value - 3 for value in reversed(values)]
    found = paired_difference(per_clip("abcdefgh", values, [1.0] * 8), per_clip("hgfedcba", lower, [1.0] * 8))
    assert found is not None
    assert (found.value, found.low, found.high) == (pytest.approx(3), pytest.approx(3), pytest.approx(3))


@pytest.mark.parametrize("seed", [0, 5])
def test_the_ends_are_percentiles_of_the_same_resamples(seed: int) -> None:
    rng = np.random.default_rng(9)
    top, bottom, others = rng.random((3, 20))
    # resamples drawn as it says, one after the other
    picks = np.random.default_rng(seed).integers(0, 20, size=(N_RESAMPLES, 20))
    drawn = [sum(top[pick]) / sum(bottom[pick]) for pick in picks]
    low, high = np.percentile(drawn, [2.5, 97.5])
    found = ratio_interval(top, bottom, seed)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    less = [ratio - sum(others[pick]) / 20 for ratio, pick in zip(drawn, picks, strict=True)]
    low, high = np.percentile(less, [2.5, 97.5])
    ids = "abcdefghijklmnopqrst"
    difference = paired_difference(
        per_clip(ids, list(top), list(bottom)), per_clip(ids, list(others), [1.0] * 20), seed
    )
    assert difference is not None
    assert (difference.low, difference.high) == (pytest.approx(low), pytest.approx(high))
    assert difference.value == pytest.approx(sum(top) / sum(bottom) - others.mean())


def test_the_seed_is_0_where_none_is_named() -> None:
    top, bottom = np.random.default_rng(9).random((2, 20))
    assert ratio_interval(top, bottom) == ratio_interval(top, bottom, seed=0)
    sides = per_clip("abcdefghijklmnopqrst", list(top), list(bottom)), per_clip("abcde", [1.0] * 5, [2.0] * 5)
    assert paired_difference(*sides) == paired_difference(*sides, seed=0) != paired_difference(*sides, seed=1)


def test_resamples_without_a_word_do_not_divide_by_zero() -> None:
    # one clip in two has words: a quarter of the resamples has none, and counts edits by 1e-12
    found = ratio_interval(np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    assert found == Interval(0.5, 0.0, 0.5, 2)
    nothing = per_clip("a", [0.0], [0.0])
    assert paired_difference(nothing, nothing) == Interval(0.0, 0.0, 0.0, 1)
    assert N_RESAMPLES == 2000


def test_small_denominators_divide_as_large_ones() -> None:
    top, bottom = np.random.default_rng(3).random((2, 9))
    whole, small = ratio_interval(top, bottom), ratio_interval(top, bottom / 1024)
    assert (small.value, small.low, small.high) == pytest.approx(
        [1024 * x for x in (whole.value, whole.low, whole.high)]
    )
    ids = "abcdefghi"
    other = per_clip(ids, [0.0] * 9, list(bottom / 1024))
    difference = paired_difference(per_clip(ids, list(top), list(bottom / 1024)), other)
    assert difference is not None
    assert (difference.value, difference.low) == (pytest.approx(small.value), pytest.approx(small.low))
