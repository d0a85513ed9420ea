from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from parity import assert_close, assert_same_network, filled, normal, reference
from torch import Tensor

from synctalk.losses.ctc import ctc_loss
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.models.conformer import (
    BLANK,
    Conformer,
    ConformerConfig,
    ConformerOutput,
    RelativeAttention,
    relative_positions,
)
from synctalk.models.conformer_search import JointBeamConfig, _Ctc, joint_beam_search
from synctalk.models.resnet import FrontEndConfig

PEER_SMALL = ConformerConfig(d_model=64, n_heads=4, d_ffn=128, n_layers=2, n_decoder_layers=2, vocabulary=50)
TINY = ConformerConfig(
    d_model=16,
    n_heads=2,
    d_ffn=16,
    n_layers=1,
    conv_kernel=3,
    n_decoder_layers=2,
    vocabulary=6,
    front_end=FrontEndConfig(stem_width=4, widths=(4,), blocks=(1,), activation="silu"),
)


@pytest.fixture(scope="module")
def peer_small(shared: Path) -> Conformer:
    return filled(Conformer(PEER_SMALL), shared, "auto_avsr_small")


def peer_inputs(shared: Path) -> tuple[Tensor, Tensor]:
    padding = torch.zeros(2, 12, dtype=torch.bool)
    padding[1, 9:] = True
    return normal(shared, "vsr.video", 2, 12, 1, 88, 88).transpose(1, 2), padding


@torch.no_grad()
def test_encoder_is_the_peers(shared: Path, peer_small: Conformer) -> None:
    theirs = reference(shared, "vsr")
    video, padding = peer_inputs(shared)
    frames = peer_small.frontend(video)
    assert_same_network(frames, theirs["frontend"])
    positions = relative_positions(12, 64, video.device)
    assert_same_network(positions[None], theirs["pos_emb"])
    first = peer_small.encoder.encoders[0](peer_small.proj_encoder(frames), positions, ~padding[:, None, None])
    assert_same_network(first, theirs["encoder_layer0"])
    assert_same_network(peer_small.encode(video[:1]), theirs["encoder_one_nomask"])
    assert_same_network(peer_small.ctc(peer_small.encode(video, padding)), theirs["ctc_logprob"])


@torch.no_grad()
def test_encoder_of_a_padded_batch_is_the_peers(shared: Path, peer_small: Conformer) -> None:
    theirs = reference(shared, "vsr")["encoder"]
    assert_same_network(peer_small.encode(*peer_inputs(shared)), theirs)


def peer_tokens(shared: Path) -> tuple[Tensor, Tensor]:
    """Labels of both clips, -1 = padding, and what the decoder is given."""
    label = torch.from_numpy(reference(shared, "vsr")["label"])
    return label, F.pad(label.masked_fill(label < 0, PEER_SMALL.eos), (1, 0), value=PEER_SMALL.eos)


@torch.no_grad()
def test_decoder_is_the_peers(shared: Path, peer_small: Conformer) -> None:
    theirs = reference(shared, "vsr")["decoder_logits"]
    assert_same_network(peer_small(*peer_inputs(shared), peer_tokens(shared)[1]).logits, theirs)


def peer_target(label: Tensor) -> Tensor:
    """What the decoder is to say: labels, the end behind the last, -1 = padding."""
    n_pieces = (label >= 0).sum(1)
    return F.pad(label, (0, 1), value=-1).scatter(1, n_pieces[:, None], PEER_SMALL.eos)


def peer_loss(reading: ConformerOutput, label: Tensor, n_frames: Tensor) -> list[float]:
    """The peer's loss of a batch, from ours: the whole, CTC, attention.

    The peer sums both over the clips and divides by their number; its attention loss is a divergence from the smoothed
    labels, less than our cross-entropy by their entropy.
    """
    target, smoothing, vocabulary = peer_target(label), 0.1, PEER_SMALL.vocabulary
    entropy = -(1 - smoothing) * math.log(1 - smoothing) - smoothing * math.log(smoothing / (vocabulary - 1))
    blanked = target.masked_fill(target < 0, BLANK)
    cross_entropy = lip_reading_loss(
        logits=reading.logits, target=blanked, padding_index=BLANK, smoothing=smoothing, reduction="sum"
    )
    attention = (float(cross_entropy) - entropy * int((target >= 0).sum())) / len(label)
    n_pieces = (label >= 0).sum(1)
    ctc = 0.0
    for clip, count in enumerate(n_pieces.tolist()):
        one = slice(clip, clip + 1)
        log_probs, pieces = reading.ctc_log_probs[one], label[one]
        loss = ctc_loss(log_probs=log_probs, n_frames=n_frames[one], pieces=pieces, n_pieces=n_pieces[one], blank=BLANK)
        ctc += float(loss) * count / len(label)
    return [0.1 * ctc + 0.9 * attention, ctc, attention]


@torch.no_grad()
def test_our_losses_differ_from_the_peers_by_constants_only(shared: Path, peer_small: Conformer) -> None:
    label, tokens = peer_tokens(shared)
    n_frames = torch.tensor([12, 9])
    reading = peer_small(*peer_inputs(shared), tokens)
    target = peer_target(label)
    kept = target >= 0
    smoothed = torch.full((*target.shape, 50), 0.1 / 49).scatter(2, target.clamp(min=0)[..., None], 0.9)
    divergence = F.kl_div(reading.logits.log_softmax(-1), smoothed, reduction="none").sum(-1)
    attention = float((divergence * kept).sum() / 2)
    n_pieces = (label >= 0).sum(1)
    ctc = F.ctc_loss(reading.ctc_log_probs.transpose(0, 1), label, n_frames, n_pieces, reduction="sum") / 2
    expected = [0.1 * float(ctc) + 0.9 * attention, float(ctc), attention]
    assert peer_loss(reading, label, n_frames) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_losses_are_the_peers(shared: Path, peer_small: Conformer) -> None:
    theirs = reference(shared, "vsr")["loss_total_ctc_att"]
    label, tokens = peer_tokens(shared)
    reading = peer_small(*peer_inputs(shared), tokens)
    assert peer_loss(reading, label, torch.tensor([12, 9])) == pytest.approx(theirs.tolist(), rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.1])
@pytest.mark.parametrize("beam", [1, 5])
def test_joint_beam_search_is_the_peers(shared: Path, peer_small: Conformer, beam: int, weight: float) -> None:
    theirs = reference(shared, "vsr")
    name = f"beam{beam}_ctc{weight}"
    tokens = theirs[f"{name}.tokens"]
    with torch.no_grad():
        encoder_out = peer_small.encode(peer_inputs(shared)[0][:1])[0]
    found = joint_beam_search(peer_small, encoder_out, JointBeamConfig(beam=beam, ctc_weight=weight))
    spoken = found[0].tokens.tolist()
    assert tokens.tolist() in (spoken, [PEER_SMALL.eos, *spoken])
    assert_close(found[0].score, theirs[f"{name}.score"], 1e-4)


def test_video_model_has_the_released_size() -> None:
    with torch.device("meta"):
        model = Conformer(ConformerConfig())
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(250.4e6, rel=1e-3)


@pytest.fixture
def tiny() -> Conformer:
    torch.manual_seed(0)
    model = Conformer(TINY).eval()
    model.decoder.output_layer.weight.data *= 4
    model.ctc.ctc_lo.weight.data *= 4
    return model


@torch.no_grad()
def test_relative_attention_by_hand() -> None:
    torch.manual_seed(0)
    attention = RelativeAttention(4, 1, 0.0).eval()
    x, positions = torch.randn(1, 5, 4), relative_positions(5, 4, torch.device("cpu"))
    query, key = attention.linear_q(x)[0], attention.linear_k(x)[0]
    distance = attention.linear_pos(positions)
    scores = torch.empty(5, 5)
    for t, s in itertools.product(range(5), range(5)):
        by_content = (query[t] + attention.pos_bias_u[0]) @ key[s]
        by_distance = (query[t] + attention.pos_bias_v[0]) @ distance[4 - (t - s)]
        scores[t, s] = (by_content + by_distance) / 2
    expected = attention.linear_out(scores.softmax(-1) @ attention.linear_v(x)[0])
    torch.testing.assert_close(attention.look(x, positions, None)[0], expected)


@torch.no_grad()
def test_kept_keys_and_values_change_nothing(tiny: Conformer) -> None:
    memory = torch.randn(1, 5, 16)
    tokens = torch.tensor([[5, 1, 2, 3], [5, 4, 4, 1]])
    past, steps = None, []
    for position in range(4):
        log_probs, past = tiny.decoder.step(tokens[:, position], position, tiny.decoder.remember(memory), past)
        steps.append(log_probs)
    whole = tiny.decoder(tokens, memory.expand(2, -1, -1), None).log_softmax(-1)
    torch.testing.assert_close(torch.stack(steps, 1), whole)


def collapse(alignment: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(alignment) if token != BLANK)


@pytest.mark.parametrize("prefix", [(), (1,), (1, 1), (2, 1), (1, 2, 1)])
def test_ctc_prefix_scores_count_every_alignment(prefix: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(4, 3).log_softmax(-1)
    ctc = _Ctc(log_probs)
    prefixes, last = ctc.start(), torch.tensor([9])
    every = torch.arange(3)[None]
    for length, token in enumerate(prefix):
        extended = ctc.extend(prefixes, last, length, every)
        prefixes.ends, prefixes.score = extended.ends[..., token], extended.score[:, token]
        last = torch.tensor([token])
    scores = ctc.extend(prefixes, last, len(prefix), every).score[0].exp()
    expected = dict.fromkeys((1, 2), 0.0)
    complete = 0.0
    for alignment in itertools.product(range(3), repeat=4):
        probability = float(log_probs[torch.arange(4), torch.tensor(alignment)].sum().exp())
        said = collapse(alignment)
        complete += probability * (said == prefix)
        for token in expected:
            expected[token] += probability * (said[: len(prefix) + 1] == (*prefix, token))
    assert scores[1:].tolist() == pytest.approx([expected[1], expected[2]], abs=1e-6)
    assert float(ctc.any_end(prefixes)[-1].exp()) == pytest.approx(complete, abs=1e-6)


@torch.no_grad()
def test_scores_are_those_of_decoder_and_ctc(tiny: Conformer) -> None:
    memory = torch.randn(5, 16)
    log_ctc = tiny.ctc(memory)
    found = joint_beam_search(tiny, memory, JointBeamConfig(beam=6, ctc_weight=0.3))
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    ended = [h for h in found if h.log_probs[-1] != 0]
    assert len(ended) >= 3
    for hypothesis in ended:
        *spoken, end = hypothesis.tokens.tolist()
        assert end == TINY.eos
        logits = tiny.decoder(torch.tensor([[TINY.eos, *spoken]]), memory[None], None)[0]
        by_decoder = logits.log_softmax(-1)[torch.arange(len(spoken) + 1), hypothesis.tokens].sum()
        by_ctc = sum(
            float(log_ctc[torch.arange(5), torch.tensor(alignment)].sum().exp())
            for alignment in itertools.product(range(TINY.vocabulary), repeat=5)
            if collapse(alignment) == tuple(spoken)
        )
        expected = 0.7 * float(by_decoder) + 0.3 * np.log(by_ctc)
        assert hypothesis.score == pytest.approx(expected, abs=1e-3)
        assert float(hypothesis.log_probs.sum()) == pytest.approx(hypothesis.score, abs=1e-4)


@torch.no_grad()
def test_decoder_alone_with_one_hypothesis_is_greedy(tiny: Conformer) -> None:
    memory = torch.randn(7, 16)
    tokens = [TINY.eos]
    while len(tokens) < 8 and (len(tokens) == 1 or tokens[-1] != TINY.eos):
        logits = tiny.decoder(torch.tensor([tokens]), memory[None], None)[0, -1]
        tokens.append(int(logits.argmax()))
    found = joint_beam_search(tiny, memory, JointBeamConfig(beam=1, ctc_weight=0.0))
    assert found[0].tokens.tolist()[:7] == tokens[1:8]
    assert found[0].tokens[-1] == TINY.eos


def test_search_in_training_mode_is_refused(tiny: Conformer) -> None:
    with pytest.raises(ValueError, match="eval mode"):
        joint_beam_search(tiny.train(), torch.randn(4, 16), JointBeamConfig())
