"""Losses where their formula has no value, or no frame; and of numbers that have few digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from synctalk.losses.adversarial import EPSILON, discriminator_loss, generator_loss
from synctalk.losses.alignment import alignment_loss
from synctalk.losses.contrastive import contrastive_loss
from synctalk.losses.cross_entropy import binary_cross_entropy
from synctalk.losses.ctc import ctc_loss
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.losses.masked_prediction import masked_prediction_loss
from synctalk.losses.offset import offset_loss
from synctalk.losses.reconstruction import reconstruction_loss
from synctalk.losses.total import weighted_total
from synctalk.losses.wav2lip_expert import wav2lip_expert_loss

NONE, ALL = torch.tensor([0.0]), torch.tensor([1.0])


def test_the_printed_adversarial_losses_have_a_floor() -> None:
    assert 0 < EPSILON <= 1e-5
    floor = math.log(EPSILON)
    # the logarithm of 1 - 1 and of 0
    assert float(generator_loss(fake=ALL, form="printed")) == pytest.approx(floor)
    assert float(generator_loss(fake=NONE, form="printed")) == 0
    assert float(discriminator_loss(real=ALL, fake=ALL, form="printed")) == pytest.approx(floor)
    assert float(discriminator_loss(real=NONE, fake=NONE, form="printed")) == pytest.approx(floor)
    assert float(discriminator_loss(real=NONE, fake=ALL, form="printed")) == 0


def test_adversarial_losses_are_means() -> None:
    fake, real = torch.tensor([0.25, 0.5]), torch.tensor([0.75, 0.5])
    assert float(generator_loss(fake=fake, form="printed")) == pytest.approx((math.log(0.75) + math.log(0.5)) / 2)
    assert float(generator_loss(fake=fake, form="bce")) == pytest.approx((math.log(4) + math.log(2)) / 2)
    printed = discriminator_loss(real=real, fake=fake, form="printed")
    assert float(printed) == pytest.approx((math.log(0.25) + math.log(0.5)) / 2 * 2)


def test_padding_alone_is_no_distance() -> None:
    audio, padding = torch.ones(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    assert float(alignment_loss(audio=audio, video=-audio, padding=padding, temperature=1.0)) == 0


def test_the_distance_is_a_mean_over_frames() -> None:
    audio = torch.tensor([[[1.0, 1.0], [3.0, 3.0]], [[5.0, 5.0], [9.0, 9.0]]])
    padding = torch.tensor([[False, False], [False, True]])
    found = alignment_loss(audio=audio, video=torch.zeros_like(audio), padding=padding, temperature=1.0)
    assert float(found) == pytest.approx((1 + 3 + 5) / 3)


def test_no_masked_frame_and_no_token_count_nothing() -> None:
    logits, labels = torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.long)
    everywhere = torch.ones(1, 2, dtype=torch.bool)
    found = masked_prediction_loss(logits=logits, labels=labels, masked=everywhere, padding=everywhere)
    assert (float(found.masked), float(found.unmasked)) == (0, 0)
    for reduction in ("mean", "sum"):
        nothing = lip_reading_loss(logits=logits, target=labels, padding_index=0, smoothing=0.1, reduction=reduction)
        assert float(nothing) == 0


def test_one_masked_frame_and_one_token_count_once() -> None:
    logits, labels = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]]), torch.tensor([[0, 1]])
    first = torch.tensor([[True, False]])
    found = masked_prediction_loss(logits=logits, labels=labels, masked=first, padding=~first)
    assert (float(found.masked), float(found.unmasked)) == (pytest.approx(math.log(4)), 0)
    token = lip_reading_loss(logits=logits, target=labels, padding_index=1, smoothing=0.0, reduction="mean")
    assert float(token) == pytest.approx(math.log(4))


def test_a_weight_for_every_pixel_leaves_a_mean_over_all_of_them() -> None:
    made, real = torch.full((2, 3, 1, 2), 0.3), torch.full((2, 3, 1, 2), 0.3)
    real[0, 0, 0, 1] = 0.9
    # one of twelve numbers is wrong by 0.6; weight 1 of a mean weight of 2
    found = reconstruction_loss(generated_faces=made, target_faces=real, weight=torch.tensor([[3.0, 1.0]]))
    assert float(found) == pytest.approx(0.6 / 12 / 2)


def test_terms_of_weight_zero_do_not_count_even_where_they_have_no_value() -> None:
    terms = {"a": torch.tensor(2.0), "b": torch.tensor(math.nan)}
    assert float(weighted_total(terms=terms, weights={"a": 1.5, "b": 0.0})) == 3.0


def test_the_offset_loss_compares_shifts_up_to_the_farthest_and_no_farther() -> None:
    # windows at 0, 1, 2, 3 on a line: distance is the shift
    line = torch.arange(4.0)[None, :, None]
    e = math.exp(-1)
    for max_shift, competitors in (
        (0, [1] * 4),
        (1, [1 + e, 1 + 2 * e, 1 + 2 * e, 1 + e]),
        (2, [1 + e + e**2, 1 + 2 * e + e**2, 1 + 2 * e + e**2, 1 + e + e**2]),
    ):
        by_hand = sum(map(math.log, competitors)) / 4
        found = offset_loss(lip=line, audio=line, max_shift=max_shift)
        assert float(found) == pytest.approx(by_hand, abs=1e-6)
        # a clip counts by its windows, whatever else is in the batch
        two = torch.cat([line, 0 * line])
        still = sum(math.log(min(3, i + max_shift) - max(0, i - max_shift) + 1) for i in range(4)) / 4
        found = offset_loss(lip=two, audio=two, max_shift=max_shift)
        assert float(found) == pytest.approx((by_hand + still) / 2, abs=1e-6)


def test_the_offset_loss_is_no_greater_for_one_direction() -> None:
    # lips a frame late and a frame early are as wrong
    line = torch.arange(6.0)[None, :, None]
    late = offset_loss(lip=line[:, 1:], audio=line[:, :-1], max_shift=1)
    early = offset_loss(lip=line[:, :-1], audio=line[:, 1:], max_shift=1)
    assert float(late) == pytest.approx(float(early), abs=1e-6)


LABELS = torch.tensor([[1, 2, 0]])
PADDING = torch.tensor([[False, False, True]])
NEGATIVES = torch.tensor([[1, 2, 0]])
HALF_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "generator, printed": lambda x, _: generator_loss(fake=x, form="printed"),
    "discriminator, printed": lambda x, y: discriminator_loss(real=x, fake=y, form="printed"),
    "discriminator, bce": lambda x, y: discriminator_loss(real=x, fake=y, form="bce"),
    "cross-entropy": lambda x, _: binary_cross_entropy(x, 1.0),
    "alignment": lambda x, y: alignment_loss(audio=x, video=y, padding=PADDING, temperature=0.3),
    "released": lambda x, y: contrastive_loss(audio=x[0], video=y[0], negatives=NEGATIVES, form="released"),
    "printed": lambda x, y: contrastive_loss(audio=x[0], video=y[0], negatives=NEGATIVES, form="printed"),
    "infonce": lambda x, y: contrastive_loss(audio=x[0], video=y[0], negatives=NEGATIVES, form="infonce"),
    "CTC": lambda x, _: ctc_loss(
        log_probs=x, n_frames=torch.tensor([3]), pieces=LABELS[:, :1], n_pieces=torch.tensor([1]), blank=0
    ),
    "lip reading": lambda x, _: lip_reading_loss(
        logits=x, target=LABELS, padding_index=0, smoothing=0.1, reduction="mean"
    ),
    "masked prediction": lambda x, _: (
        masked_prediction_loss(logits=x, labels=LABELS, masked=~PADDING, padding=PADDING).masked
    ),
    "offset": lambda x, y: offset_loss(lip=x, audio=y, max_shift=1),
    "Wav2Lip's expert": lambda x, y: wav2lip_expert_loss(audio=x / 8, face=y / 8),
}


@pytest.mark.parametrize("name", HALF_LOSSES)
def test_numbers_of_few_digits_are_summed_in_float32(name: str) -> None:
    """Under autocast a network gives bfloat16 of three digits; its losses lose none of them."""
    x, y = torch.rand(2, 1, 3, 37, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = HALF_LOSSES[name]
    found, wanted = loss(x, y), loss(x.float(), y.float())
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_cross_entropy_of_probabilities_is_outside_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's autocast refuses it; here it is looked at whether it would."""
    real, seen = torch.nn.functional.binary_cross_entropy, []

    def spied(probability: Tensor, target: Tensor) -> Tensor:
        seen.append((torch.is_autocast_enabled("cpu"), probability.dtype, target.dtype))
        return real(probability, target)

    monkeypatch.setattr(torch.nn.functional, "binary_cross_entropy", spied)
    with torch.autocast("cpu", torch.bfloat16):
        found = binary_cross_entropy(torch.tensor([0.25, 0.75]).bfloat16(), 1.0)
    assert seen == [(False, torch.float32, torch.float32)]
    assert float(found) == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
