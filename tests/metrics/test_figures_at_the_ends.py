"""Figures of the smallest and the oddest input: what is refused, what counts as nothing, what ends look like."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from synctalk.metrics.image import psnr, psnr_uint8, ssim
from synctalk.metrics.lse import lse
from synctalk.metrics.shift import VSHIFT
from synctalk.metrics.units import entropy, unit_quality
from synctalk.metrics.wer import EditCounts, cer, character_edits, wer, word_edits

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


@pytest.mark.parametrize("metric", [psnr, psnr_uint8, ssim])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (IMAGE.astype(np.float32), IMAGE),
        (IMAGE, IMAGE.astype(np.int64)),
        (IMAGE[..., 0], IMAGE[..., 0]),
        (IMAGE[None], IMAGE[None]),
        (IMAGE, IMAGE[..., :1]),
    ],
    ids=["first is float", "second is int", "grey", "a batch", "unlike channels"],
)
def test_figures_of_other_arrays_are_refused(metric, a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"two uint8 images \[H, W, 3\] are needed"):
        metric(a, b)


@pytest.mark.parametrize("shape", [(10, 40), (40, 10)])
def test_ssim_needs_eleven_pixels_on_either_side(shape: tuple[int, int]) -> None:
    small = np.zeros((*shape, 3), np.uint8)
    with pytest.raises(ValueError, match=r"SSIM needs 11 pixels a side; got \[\d\d, \d\d, 3\]"):
        ssim(small, small)


def test_ssim_of_one_window_by_hand() -> None:
    """Two even images of 11 x 11: no variance, so the means alone tell; each channel counts a third."""
    a, b = np.zeros((11, 11, 3), np.uint8), np.zeros((11, 11, 3), np.uint8)
    a[..., 0], b[..., 0] = 100, 50
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx(((2 * 100 * 50 + c1) / (100**2 + 50**2 + c1) + 1 + 1) / 3, abs=1e-12)


def test_offsets_reach_fifteen_frames_either_way() -> None:
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((80, 8)).astype(np.float32)
    for shift in (-15, -14, 0, 14, 15):
        found = lse(clip[20:60], clip[20 + shift : 60 + shift])
        assert (found.offset, len(found.mean_distances)) == (shift, 31)
    assert VSHIFT == 15


def test_beyond_the_ends_lips_are_compared_with_zeros() -> None:
    """Two windows at (3, 4) and (0, 1), shifts of one: by hand, in the order from early to late."""
    lip = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    found = lse(lip, lip, vshift=1)
    apart = 18**0.5
    np.testing.assert_allclose(found.mean_distances, [(5 + apart) / 2, 0, (apart + 1) / 2], atol=1e-5)
    assert found.offset == 0
    # the median of three: (apart + 1) / 2
    assert found.confidence == pytest.approx((apart + 1) / 2, abs=1e-5)
    np.testing.assert_allclose(found.frame_confidence, [(apart + 1) / 2] * 2, atol=1e-5)


def test_frame_confidence_is_smoothed_over_nine_windows_with_zeros_beyond() -> None:
    rng = np.random.default_rng(1)
    lip, audio = rng.standard_normal((2, 14, 4)).astype(np.float32)
    found = lse(lip, audio, vshift=3)
    raw = found.frame_confidence.numpy()
    padded = np.concatenate([np.zeros(4), raw, np.zeros(4)])
    by_hand = [np.sort(padded[number : number + 9])[4] for number in range(14)]
    np.testing.assert_allclose(found.smooth_confidence, by_hand, atol=1e-6)
    # a window's own confidence: the median of the shifts less its distance at the best one
    assert float(found.frame_confidence.mean()) == pytest.approx(found.confidence, abs=1e-5)


@pytest.mark.parametrize("shapes", [((1, 0, 3, 4), (1, 0, 3, 4)), ((2, 3, 4), (2, 3, 4)), ((3, 4), (3, 5))])
def test_embeddings_are_two_tables_of_one_shape(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"embeddings \[N, D\] of one shape are needed"):
        lse(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_embeddings_of_few_digits_are_compared_in_float32() -> None:
    lip, audio = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    half, full = lse(lip, audio), lse(lip.float(), audio.float())
    assert half.mean_distances.dtype == torch.float32
    assert half.distance == full.distance


@pytest.mark.parametrize("types", [(np.float64, np.float32), (np.float32, np.float64)])
def test_embeddings_of_many_digits_are_compared_in_float32(types: tuple[type, type]) -> None:
    lip, audio = np.random.default_rng(0).standard_normal((2, 20, 8)).astype(np.float32)
    found = lse(lip.astype(types[0]), audio.astype(types[1]))
    assert found.mean_distances.dtype == torch.float32
    assert found.distance == lse(lip, audio).distance


def test_empty_cells_add_nothing_to_entropy() -> None:
    assert entropy(np.array([0.5, 0.0, 0.5])) == pytest.approx(log(2))
    assert entropy(np.array([0.0, 1.0])) == 0


def test_one_phone_leaves_nothing_to_tell() -> None:
    found = unit_quality([0, 1, 1], list("aaa"))
    assert (found.phone_purity, found.cluster_purity, found.pnmi) == (pytest.approx(1), pytest.approx(2 / 3), 0.0)


def test_two_phones_are_enough_to_tell() -> None:
    # of frames a b with units 0 1 all is told; numbers of units need not be used up
    assert unit_quality(np.array([0, 7]), ["a", "b"]).pnmi == pytest.approx(1)


@pytest.mark.parametrize(("units", "phones"), [([0], []), ([], ["a"]), ([0, 0, 0], ["a", "b"])])
def test_every_frame_has_a_unit_and_a_phone(units: list[int], phones: list[str]) -> None:
    with pytest.raises(ValueError, match=f"{len(units)} units for {len(phones)} phones"):
        unit_quality(units, phones)


def test_counts_add_up_to_edits() -> None:
    assert EditCounts(substitutions=1, deletions=2, insertions=4, n_reference=9).edits == 7


def test_characters_are_lower_cased_and_gaps_are_one_character() -> None:
    assert character_edits(" A\tb ", "a  B") == EditCounts(0, 0, 0, 3)
    assert character_edits("abc", "") == EditCounts(0, 3, 0, 3)
    assert character_edits(" ", "a \n b") == EditCounts(0, 0, 3, 0)
    assert character_edits("abcd", "axcde") == EditCounts(1, 0, 1, 4)
    assert word_edits(" \n", "A  b c") == EditCounts(0, 0, 3, 0)


def test_one_text_is_not_a_list_of_letters() -> None:
    assert cer("ab", "ax") == 0.5
    assert wer("one two", ["one too"]) == wer(["one two"], "one too") == 0.5


def test_rates_refuse_what_has_none() -> None:
    with pytest.raises(ValueError, match="1 references and 2 hypotheses"):
        cer("a", ["a", "b"])
    with pytest.raises(ValueError, match="no rate"):
        wer([], [])
    with pytest.raises(ValueError, match="no rate"):
        cer(" ", "a")
