"""How many frames stand against each, which, and what the loss makes of none."""

from __future__ import annotations

import math

import pytest
import torch

from synctalk.losses.contrastive import contrastive_loss, draw_negatives

EAST, NORTH, SLANT = ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8])


@pytest.mark.parametrize(("n_frames", "n_negatives"), [(1, 0), (2, 1), (3, 1), (9, 4), (201, 100), (206, 100)])
def test_half_of_the_frames_stand_against_each_and_a_hundred_at_most(n_frames: int, n_negatives: int) -> None:
    together = torch.zeros(n_frames, dtype=torch.long)
    negatives = draw_negatives(n_frames, together, torch.Generator().manual_seed(0))
    assert negatives.shape == (n_negatives, n_frames)
    assert negatives.is_contiguous()
    assert not (negatives == torch.arange(n_frames)).any()


def test_all_other_frames_of_the_own_clip_come_before_any_of_another() -> None:
    # whatever is drawn: a frame's own clip has two others, and four are wanted of eight
    clip = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    for seed in range(50):
        negatives = draw_negatives(8, clip, torch.Generator().manual_seed(seed))
        for frame in range(8):
            own = [other for other in range(8) if clip[other] == clip[frame] and other != frame]
            assert sorted(negatives[: len(own), frame].tolist()) == own


def test_one_state_of_the_rng_gives_the_same_negatives() -> None:
    together = torch.zeros(12, dtype=torch.long)
    one, same, other = (draw_negatives(12, together, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_every_other_frame_is_drawn_as_often() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.zeros(6, 6)
    for _ in range(400):
        for row in draw_negatives(6, torch.zeros(6, dtype=torch.long), generator):
            drawn[torch.arange(6), row] += 1
    assert drawn.diagonal().sum() == 0
    # each of 5 others stands among 3 in 400 draws: 240 of 400, give or take 10
    others = drawn[~torch.eye(6, dtype=torch.bool)]
    assert 190 < float(others.min()) <= float(others.max()) < 290


def test_a_pair_without_negatives_stands_alone() -> None:
    audio, video = torch.tensor([EAST]), torch.tensor([SLANT])
    kwargs = {"audio": audio, "video": video, "negatives": torch.zeros(0, 1, dtype=torch.long)}
    assert float(contrastive_loss(**kwargs, form="released")) == pytest.approx(0.4 + 0.8)
    # theta is 2 * 1.2 / 2
    printed = contrastive_loss(**kwargs, form="printed", tau=2.0, margin=0.5)
    assert float(printed) == pytest.approx(0.5 + 1.2)
    # margin and tau are 1 where nothing is said
    assert float(contrastive_loss(**kwargs, form="printed")) == pytest.approx(1 + 0.6)
    below = contrastive_loss(**kwargs, form="printed", margin=-1.0)
    assert float(below) == 0
    # pairs count by their mean
    two = {"audio": torch.tensor([EAST, EAST]), "video": torch.tensor([SLANT, EAST])}
    assert float(contrastive_loss(**kwargs | two, form="printed")) == pytest.approx(1 + 0.6 / 2)
    assert float(contrastive_loss(**kwargs | two, form="released")) == pytest.approx(1.2 / 2)
    # one logit has all the probability
    assert float(contrastive_loss(**kwargs, form="infonce")) == 0


def test_printed_is_a_mean_over_negatives_and_then_over_frames() -> None:
    audio = torch.tensor([EAST, NORTH, SLANT])
    negatives = torch.tensor([[1, 2, 0], [2, 0, 1]])
    # theta: east-north 1, east-slant 0.6, north-slant 0.4; the pair's own is 0
    unpaired = [(1 + 0.6) / 2, (0.4 + 1) / 2, (0.6 + 0.4) / 2]
    found = contrastive_loss(audio=audio, video=audio, negatives=negatives, form="printed", tau=1.0, margin=1.0)
    assert float(found) == pytest.approx(sum(1 - theta for theta in unpaired) / 3)
    # tau scales pairs and others alike
    half = contrastive_loss(audio=audio, video=audio, negatives=negatives, form="printed", tau=0.5, margin=1.0)
    assert float(half) == pytest.approx(sum(1 - theta / 2 for theta in unpaired) / 3)


def test_printed_keeps_the_audio_and_takes_other_videos() -> None:
    audio, video = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [5.0]])
    # theta of pairs 0, 4; of audio 0 with video 1: 5, of audio 1 with video 0: 1; margin 2: (0 + 2 + 4 - 1) / 2
    found = contrastive_loss(
        audio=audio, video=video, negatives=torch.tensor([[1, 0]]), form="printed", tau=1.0, margin=2.0
    )
    assert float(found) == pytest.approx(2.5)


def test_released_keeps_the_video_and_takes_other_audio() -> None:
    audio, video = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [5.0], [5.0]])
    # pairs 0, 4, 2; against audio 1, 2, 0: 1, 2, 5
    found = contrastive_loss(audio=audio, video=video, negatives=torch.tensor([[1, 2, 0]]), form="released")
    assert float(found) == pytest.approx((0 + 4 + 2) / 3 - (1 + 2 + 5) / 3)


def test_infonce_sets_the_pair_against_other_audio_at_a_temperature() -> None:
    audio, video = torch.tensor([EAST, SLANT]), torch.tensor([SLANT, SLANT])
    # frame 0: pair 0.6, other audio 0.6; frame 1: pair 1, other audio 0.6
    for options, temperature in (({}, 0.07), ({"temperature": 0.5}, 0.5)):
        found = contrastive_loss(audio=audio, video=video, negatives=torch.tensor([[1, 0]]), form="infonce", **options)
        by_hand = (math.log(2) + math.log1p(math.exp((0.6 - 1) / temperature))) / 2
        assert float(found) == pytest.approx(by_hand, rel=1e-5)
