"""Every equation against numbers worked out by hand, and against the peer's where a fixture has them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from parity import assert_close, formula, normal, reference

from synctalk.losses.adversarial import discriminator_loss, generator_loss
from synctalk.losses.alignment import alignment_loss
from synctalk.losses.contrastive import contrastive_loss, draw_negatives, theta
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.losses.masked_prediction import masked_prediction_loss
from synctalk.losses.offset import offset_loss
from synctalk.losses.reconstruction import reconstruction_loss
from synctalk.losses.total import weighted_total


def test_eq_3_is_a_mean_over_masked_frames_and_one_over_the_others() -> None:
    # one clip of three frames, two clusters; probabilities of the right cluster: 1/2, 1/4, 1/8; frame 2 is padding
    p = torch.tensor([0.5, 0.25, 0.125])
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)[None]
    labels = torch.zeros(1, 3, dtype=torch.long)
    masked = torch.tensor([[True, False, True]])
    padding = torch.tensor([[False, False, True]])
    loss = masked_prediction_loss(logits=logits, labels=labels, masked=masked, padding=padding)
    assert float(loss.masked) == pytest.approx(math.log(2))
    assert float(loss.unmasked) == pytest.approx(math.log(4))
    none = torch.zeros_like(masked)
    loss = masked_prediction_loss(logits=logits, labels=labels, masked=none, padding=padding)
    assert float(loss.masked) == 0
    assert float(loss.unmasked) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_eq_4_without_smoothing_is_the_log_probability_of_the_transcript() -> None:
    # p(w_1) = 1/2, p(w_2) = 1/4, the third token is padding
    logits = torch.tensor([[[1.0, 1.0], [0.0, math.log(3)], [9.0, 0.0]]])
    target = torch.tensor([[0, 0, 1]])
    total = lip_reading_loss(logits=logits, target=target, padding_index=1, smoothing=0.0, reduction="sum")
    assert float(total) == pytest.approx(math.log(2) + math.log(4))
    mean = lip_reading_loss(logits=logits, target=target, padding_index=1, smoothing=0.0, reduction="mean")
    assert float(mean) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_eq_4_smoothing_gives_eps_over_v_minus_one_to_every_wrong_token() -> None:
    # three tokens with p = 1/2, 1/4, 1/4; eps 0.2: 0.8 ln 2 + 0.1 (ln 4 + ln 4)
    logits = torch.tensor([[[math.log(2), 0.0, 0.0]]])
    loss = lip_reading_loss(logits=logits, target=torch.tensor([[0]]), padding_index=9, smoothing=0.2, reduction="sum")
    assert float(loss) == pytest.approx(0.8 * math.log(2) + 0.2 * math.log(4))


def test_eq_4_equals_the_peers_criterion(shared: Path) -> None:
    arrays = reference(shared, "avhubert_s2s")
    logits, target = torch.from_numpy(arrays["video.logits"]), torch.from_numpy(arrays["target"]).long()
    loss = lip_reading_loss(logits=logits, target=target, padding_index=1, smoothing=0.1, reduction="sum")
    nll = lip_reading_loss(logits=logits, target=target, padding_index=1, smoothing=0.0, reduction="sum")
    assert_close(loss.numpy(), arrays["video.loss"], 1e-4 * float(arrays["video.loss"]))
    right = (logits.argmax(-1) == target)[target != 1]
    assert_close([right.sum(), len(right)], arrays["video.acc"], 0)
    assert_close(nll.numpy(), arrays["video.nll"], 1e-4 * float(arrays["video.nll"]))


def test_eq_5_averages_the_l1_distance_over_dimensions_and_real_frames() -> None:
    audio = torch.tensor([[[1.0, 2.0], [0.0, 0.0]]])
    video = torch.tensor([[[0.0, 4.0], [9.0, 9.0]]])
    padding = torch.tensor([[False, True]])
    # frame 0: (|1 - 0| + |2 - 4|) / 2 = 1.5; times tau = 2
    assert float(alignment_loss(audio=audio, video=video, padding=padding, temperature=2.0)) == pytest.approx(3.0)


def test_eqs_6_and_13_are_a_weighted_sum_and_refuse_unknown_names() -> None:
    terms = {"reconstruction": torch.tensor(2.0), "lip_reading": torch.tensor(3.0)}
    weights = {"reconstruction": 1.0, "lip_reading": 0.5, "contrastive": 0.0}
    assert float(weighted_total(terms=terms, weights=weights)) == pytest.approx(3.5)
    with pytest.raises(KeyError, match="lip_raeding"):
        weighted_total(terms={"lip_raeding": torch.tensor(1.0)}, weights=weights)
    with pytest.raises(KeyError, match="lip_reading"):
        weighted_total(terms={"reconstruction": torch.tensor(1.0)}, weights=weights)


def test_a_term_of_weight_zero_gets_no_gradient() -> None:
    x = torch.tensor(1.0, requires_grad=True)
    total = weighted_total(terms={"a": x * 2, "b": x * 100}, weights={"a": 1.0, "b": 0.0})
    total.backward()
    assert float(x.grad) == 2.0


def test_eq_7_is_the_mean_absolute_difference() -> None:
    made, real = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    real[0, :, 0, 0] = 0.8
    assert float(reconstruction_loss(generated_faces=made, target_faces=real)) == pytest.approx(0.2)
    weight = torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    # the wrong pixel has weight 3 of a total of 6
    weighted = reconstruction_loss(generated_faces=made, target_faces=real, weight=weight)
    assert float(weighted) == pytest.approx(0.8 * 3 / 6)


def test_eqs_8_and_9_as_printed_and_as_released() -> None:
    fake, real = torch.tensor([0.25]), torch.tensor([0.75])
    assert float(generator_loss(fake=fake, form="printed")) == pytest.approx(math.log(0.75))
    assert float(generator_loss(fake=fake, form="bce")) == pytest.approx(math.log(4))
    assert float(discriminator_loss(real=real, fake=fake, form="printed")) == pytest.approx(2 * math.log(0.25))
    assert float(discriminator_loss(real=real, fake=fake, form="bce")) == pytest.approx(2 * math.log(4 / 3))


@pytest.mark.parametrize("form", ["printed", "bce"])
def test_a_better_discriminator_and_a_better_fake_lower_their_losses(form: str) -> None:
    sure = discriminator_loss(real=torch.tensor([0.9]), fake=torch.tensor([0.1]), form=form)
    unsure = discriminator_loss(real=torch.tensor([0.6]), fake=torch.tensor([0.4]), form=form)
    assert sure < unsure
    assert generator_loss(fake=torch.tensor([0.9]), form=form) < generator_loss(fake=torch.tensor([0.2]), form=form)


def test_eq_11_theta_is_the_scaled_mean_l1_distance() -> None:
    value = theta(audio=torch.tensor([1.0, 5.0]), video=torch.tensor([2.0, 2.0]), tau=0.5)
    assert float(value) == pytest.approx(0.5 * (1 + 3) / 2)


PAIR = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
SWAP = torch.tensor([[1, 0]])


def test_eq_12_released_is_paired_minus_unpaired_l1() -> None:
    # paired distance 0, each audio is 2 away from the other video
    assert float(contrastive_loss(audio=PAIR, video=PAIR, negatives=SWAP, form="released")) == pytest.approx(-2.0)
    swapped = contrastive_loss(audio=PAIR.flip(0), video=PAIR, negatives=SWAP, form="released")
    assert float(swapped) == pytest.approx(2.0)


def test_eq_12_printed_has_a_hinge() -> None:
    # theta: paired 0, unpaired 1 (mean over two dimensions): margin 1.5 leaves 0.5; margin 1 leaves nothing
    kwargs = {"audio": PAIR, "video": PAIR, "negatives": SWAP, "form": "printed", "temperature": 1.0}
    assert float(contrastive_loss(**kwargs, margin=1.5)) == pytest.approx(0.5)
    assert float(contrastive_loss(**kwargs, margin=1.0)) == 0.0


@pytest.mark.parametrize("form", ["released", "printed", "infonce"])
def test_eq_12_is_defined_for_a_single_frame(form: str) -> None:
    one = torch.tensor([[0.6, 0.8]])
    nobody = torch.zeros(0, 1, dtype=torch.long)
    assert torch.isfinite(contrastive_loss(audio=one, video=one, negatives=nobody, form=form))


@pytest.mark.parametrize("form", ["released", "printed", "infonce"])
def test_eq_12_gradient_draws_the_pair_together(form: str) -> None:
    torch.manual_seed(0)
    audio = F.normalize(torch.randn(6, 8), dim=-1)
    video = F.normalize(torch.randn(6, 8), dim=-1).requires_grad_()
    negatives = draw_negatives(6, torch.zeros(6, dtype=torch.long), torch.Generator().manual_seed(0))
    kwargs = {"audio": audio, "negatives": negatives, "form": form, "margin": 5.0}
    contrastive_loss(video=video, **kwargs).backward()
    moved = video.detach() - 0.01 * video.grad
    assert contrastive_loss(video=moved, **kwargs) < contrastive_loss(video=video.detach(), **kwargs)


def test_an_unknown_contrastive_form_is_refused() -> None:
    with pytest.raises(ValueError, match="relaesed"):
        contrastive_loss(audio=PAIR, video=PAIR, negatives=SWAP, form="relaesed")


def test_negatives_are_others_without_repetition_and_of_the_own_group_first() -> None:
    group = torch.tensor([0] * 6 + [1] * 6)
    negatives = draw_negatives(12, group, torch.Generator().manual_seed(1))
    assert negatives.shape == (6, 12)
    for frame in range(12):
        drawn = negatives[:, frame].tolist()
        assert frame not in drawn
        assert len(set(drawn)) == 6
        # five others share the group; the sixth must come from elsewhere
        assert sum(int(group[other]) == int(group[frame]) for other in drawn) == 5


@pytest.mark.parametrize("tag", ["a", "b", "big"])
def test_eq_12_infonce_equals_the_peers(shared: Path, tag: str) -> None:
    arrays = reference(shared, "talklip")
    n, d = (int(x) for x in arrays[f"sync.{tag}.B_D"])
    raw_video = normal(shared, f"talklip.cl.v{tag}", n, d)
    sound = F.normalize(normal(shared, f"talklip.cl.a{tag}", n, d) + 0.7 * raw_video, dim=-1)
    matrix, bias = (
        torch.from_numpy(formula(shared).formula(f"Linearaudio.{name}", shape))
        for name, shape in (("weight", (d, d)), ("bias", (d,)))
    )
    loss = contrastive_loss(
        audio=F.normalize(F.linear(sound, matrix, bias), dim=-1),
        video=F.normalize(raw_video, dim=-1),
        negatives=torch.from_numpy(arrays[f"sync.{tag}.neg_idx"]).long().T,
        form="infonce",
    )
    assert float(loss) == pytest.approx(float(arrays[f"sync.{tag}.loss"]), rel=1e-5)


def test_the_judges_offset_loss_prefers_the_true_shift() -> None:
    torch.manual_seed(0)
    audio = torch.randn(1, 20, 8) * 3
    right = offset_loss(lip=audio, audio=audio, max_shift=5)
    late = offset_loss(lip=audio.roll(1, dims=1), audio=audio, max_shift=5)
    assert float(right) < 0.05
    assert float(late) > 3
