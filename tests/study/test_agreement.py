"""Krippendorff's alpha against a published worked example, and where its value is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from synctalk.study.agreement import ordinal_alpha

KRIPPENDORFF_2011 = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
"""Four observers, twelve units: "Computing Krippendorff's Alpha-Reliability", section D."""


def units(rows: list[str]) -> list[list[int]]:
    columns = zip(*(row.split() for row in rows), strict=True)
    return [[int(value) for value in column if value != "."] for column in columns]


def test_the_worked_example_of_krippendorff_2011() -> None:
    assert ordinal_alpha(units(KRIPPENDORFF_2011)) == pytest.approx(0.815, abs=5e-4)


def test_full_agreement_is_one_and_raters_may_be_anybody() -> None:
    assert ordinal_alpha([[1, 1], [5, 5, 5], [3, 3]]) == 1.0
    assert ordinal_alpha([[2, 1], [1, 2], [4]]) == ordinal_alpha([[1, 2], [2, 1]])


def test_two_raters_who_always_differ_by_hand() -> None:
    # values 1 and 2, n = 4: coincidences off the diagonal 4, expected 2 * 2 * 2 / 3; alpha = 1 - 4 / (8 / 3)
    assert ordinal_alpha([[1, 2], [1, 2]]) == pytest.approx(-0.5)


def test_chance_is_about_zero() -> None:
    scores = np.random.default_rng(0).integers(1, 6, (4000, 2))
    assert ordinal_alpha(scores.tolist()) == pytest.approx(0, abs=0.05)


def test_a_far_miss_weighs_more_than_a_near_one() -> None:
    near = ordinal_alpha([[1, 1], [2, 2], [3, 3], [4, 4], [5, 4]])
    far = ordinal_alpha([[1, 1], [2, 2], [3, 3], [4, 4], [5, 1]])
    assert near is not None
    assert far is not None
    assert near > far


@pytest.mark.parametrize("scores", [[], [[3]], [[1], [2], [5]], [[4, 4], [4, 4]]])
def test_nothing_to_agree_about_is_no_figure(scores: list[list[int]]) -> None:
    assert ordinal_alpha(scores) is None
