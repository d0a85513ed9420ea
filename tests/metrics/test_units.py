"""Agreement of units and phones: HuBERT's three figures, computed by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from synctalk.metrics.units import entropy, unit_quality


def test_eight_frames_by_hand() -> None:
    """Phones a a a a b b b b, units 0 0 0 1 1 1 2 2: unit 0 is all a, unit 1 has one a and two b, unit 2 is all b."""
    found = unit_quality([0, 0, 0, 1, 1, 1, 2, 2], list("aaaabbbb"))
    assert found.phone_purity == pytest.approx((3 + 2 + 2) / 8)
    assert found.cluster_purity == pytest.approx((3 + 2) / 8)
    # H(y) = log 2; H(y|z) is that of unit 1 alone: 3/8 (1/3 log 3 + 2/3 log 3/2)
    left = 3 / 8 * (log(3) / 3 + 2 / 3 * log(1.5))
    assert found.pnmi == pytest.approx((log(2) - left) / log(2))


def test_units_that_are_the_phones_tell_all() -> None:
    found = unit_quality([4, 4, 0, 2, 2], list("aabcc"))
    assert (found.phone_purity, found.cluster_purity) == (pytest.approx(1), pytest.approx(1))
    assert found.pnmi == pytest.approx(1)


def test_one_unit_tells_nothing_and_purity_is_that_of_the_commonest_phone() -> None:
    found = unit_quality([0] * 5, list("aaabc"))
    assert found.phone_purity == pytest.approx(0.6)
    assert found.cluster_purity == pytest.approx(1)
    assert found.pnmi == pytest.approx(0)


def test_splitting_units_raises_purity_but_not_what_chance_tells() -> None:
    """A unit a frame is pure whatever the phones are: why iterations are compared at one number of units."""
    rng = np.random.default_rng(0)
    phones = rng.choice(list("abcd"), 4000)
    few, many = (unit_quality(rng.integers(0, n, 4000), phones.tolist()) for n in (4, 400))
    assert many.phone_purity > few.phone_purity + 0.1
    assert few.pnmi < 0.01


def test_entropy_of_an_even_choice() -> None:
    assert entropy(np.array([[0.25, 0.25], [0.25, 0.25]])) == pytest.approx(log(4))


@pytest.mark.parametrize(("units", "phones"), [([], []), ([0, 1], ["a"])])
def test_frames_must_match(units: list[int], phones: list[str]) -> None:
    with pytest.raises(ValueError, match="units for"):
        unit_quality(units, phones)
