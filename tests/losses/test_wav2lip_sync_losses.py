"""Wav2Lip's losses of synchronisation against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from synctalk.losses.wav2lip_expert import EPSILON, cosines, sync_loss, wav2lip_expert_loss

# cosines with (1, 0): 1, 0.8, 0.6, 0
SAME, NEAR, FAR, ACROSS = ([1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0])


def test_the_cosine_is_a_sum_over_the_last_axis() -> None:
    audio = torch.tensor([[SAME, SAME], [FAR, ACROSS]])
    face = torch.tensor([[NEAR, FAR], [FAR, FAR]])
    torch.testing.assert_close(cosines(audio, face), torch.tensor([[0.8, 0.6], [1.0, 0.8]]), atol=2 * EPSILON, rtol=0)


def test_cosines_stay_where_the_logarithm_has_a_value() -> None:
    assert 0 < EPSILON <= 1e-6
    over = torch.tensor([[1.001, 0.0], [0.0, 1.0]])
    found = cosines(over, torch.tensor([SAME, SAME]))
    torch.testing.assert_close(found, torch.tensor([1 - EPSILON, EPSILON]), atol=0, rtol=0)
    # -log of 1e-7 is 16.1; a probability of 0 has none
    assert float(sync_loss(audio=over[1:], face=torch.tensor([SAME]))) == pytest.approx(-math.log(EPSILON), rel=1e-4)


def test_e_sync_is_the_mean_of_minus_log_p() -> None:
    found = sync_loss(audio=torch.tensor([SAME, SAME]), face=torch.tensor([NEAR, FAR]))
    assert float(found) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2, rel=1e-5)


def test_own_and_other_windows_of_a_clip_count_a_half_each() -> None:
    # three windows: rows are audio, columns faces; the diagonal is in sync
    audio = torch.tensor([SAME, NEAR, FAR])
    face = torch.tensor([[0.96, 0.28], [0.5, 0.5], [0.28, 0.96]])
    p = [[0.96, 0.5, 0.28], [0.936, 0.7, 0.8], [0.8, 0.7, 0.936]]
    own = -sum(math.log(p[i][i]) for i in range(3)) / 3
    other = -sum(math.log(1 - p[i][j]) for i in range(3) for j in range(3) if i != j) / 6
    found = wav2lip_expert_loss(audio=audio[None], face=face[None])
    assert float(found) == pytest.approx((own + other) / 2, rel=1e-5)


def test_windows_of_other_clips_are_not_compared() -> None:
    generator = torch.Generator().manual_seed(0)
    audio, face = torch.nn.functional.normalize(torch.rand(2, 2, 3, 8, generator=generator), dim=-1)
    both = wav2lip_expert_loss(audio=audio, face=face)
    alone = [wav2lip_expert_loss(audio=audio[i : i + 1], face=face[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)
