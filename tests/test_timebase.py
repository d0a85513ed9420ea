"""The rates and what follows from them."""

from __future__ import annotations

import pytest

from synctalk import timebase


def test_the_rates_divide_exactly() -> None:
    assert timebase.SAMPLES_PER_FRAME == 640
    assert timebase.FBANK_PER_FRAME == 4
    assert timebase.FBANK_HOP == 160
    assert timebase.STACKED_FBANK == 104
    assert timebase.MEL_HOP == 200


def test_a_remainder_is_an_error() -> None:
    with pytest.raises(ValueError, match="16001"):
        timebase.exact_div(16_001, 25)


def test_frames_and_samples() -> None:
    assert timebase.n_samples(3) == 1920
    assert timebase.n_whole_frames(1919) == 2
    assert timebase.n_frames_in(0.1) == 3
