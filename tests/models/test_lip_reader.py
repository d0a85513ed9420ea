from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from parity import assert_close, assert_same_network, filled, normal, reference
from torch import Tensor

from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.beam_search import BeamConfig, Hypothesis, beam_search
from synctalk.models.lip_reader import EOS, PAD, LipReader, LipReaderConfig, sinusoids, token_positions
from synctalk.models.resnet import FrontEndConfig

PEER_SMALL = LipReaderConfig(
    encoder=AVHubertConfig(d_model=64, n_layers=2, d_ffn=128, n_heads=4),
    vocabulary=40,
    n_layers=2,
    d_ffn=128,
    n_heads=4,
)
NOT_OURS = ("mask_emb", "label_embs_concat", "_float_tensor")
TINY = LipReaderConfig(
    encoder=AVHubertConfig(
        d_model=32,
        n_layers=1,
        d_ffn=32,
        n_heads=2,
        pos_conv_kernel=8,
        pos_conv_groups=4,
        front_end=FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 1)),
    ),
    vocabulary=12,
    n_layers=2,
    d_ffn=32,
    n_heads=2,
    tied_output=False,
)


@pytest.fixture(scope="module")
def peer_small(shared: Path) -> LipReader:
    return filled(LipReader(PEER_SMALL), shared, "avhubert_s2s_small", NOT_OURS)


def peer_inputs(shared: Path, modality: str) -> tuple[Tensor | None, Tensor | None, Tensor]:
    padding = torch.zeros(2, 12, dtype=torch.bool)
    padding[1, 9:] = True
    audio = normal(shared, "avh.audio", 2, 104, 12).transpose(1, 2) if modality != "video" else None
    video = normal(shared, "avh.video", 2, 1, 12, 88, 88) if modality != "audio" else None
    return audio, video, padding


@pytest.mark.parametrize("modality", ["video", "audio", "both"])
@torch.no_grad()
def test_teacher_forcing_is_the_peers(shared: Path, peer_small: LipReader, modality: str) -> None:
    theirs = reference(shared, "avhubert_s2s")
    logits = theirs[f"{modality}.logits"]
    tokens = torch.from_numpy(theirs["prev_output_tokens"])
    reading = peer_small(*peer_inputs(shared, modality), tokens, with_attention=True)
    assert_same_network(reading.logits, logits)
    assert_same_network(reading.attention, theirs[f"{modality}.attn"])
    assert_same_network(reading.encoder_out.transpose(0, 1), theirs[f"{modality}.encoder_out"])


@torch.no_grad()
def test_post_norm_and_untied_output_are_the_peers(shared: Path) -> None:
    theirs = reference(shared, "avhubert_s2s")
    logits = theirs["postnorm_untied.logits"]
    config = replace(PEER_SMALL, pre_norm=False, tied_output=False)
    model = filled(LipReader(config), shared, "avhubert_s2s_small_postnorm_untied", NOT_OURS)
    tokens = torch.from_numpy(theirs["prev_output_tokens"])
    assert_same_network(model(*peer_inputs(shared, "video"), tokens).logits, logits)


def test_positions_are_the_peers(shared: Path) -> None:
    theirs = reference(shared, "avhubert_s2s")
    positions = token_positions(torch.from_numpy(theirs["prev_output_tokens"]))
    assert_close(sinusoids(positions, 64).numpy(), theirs["embed_positions"], 1e-5)


@pytest.mark.parametrize("penalty", [0, 1])
@pytest.mark.parametrize("beam", [1, 5])
@torch.no_grad()
def test_beam_search_is_the_peers(shared: Path, peer_small: LipReader, beam: int, penalty: float) -> None:
    theirs = reference(shared, "avhubert_s2s")
    name = f"gen.beam{beam}.lenpen{penalty}"
    assert theirs[f"{name}.0.tokens"] is not None
    audio, video, padding = peer_inputs(shared, "video")
    found = beam_search(
        peer_small,
        peer_small.encode(audio, video, padding),
        padding,
        BeamConfig(beam=beam, length_penalty=penalty),
        n_frames=torch.tensor([12, 12]),
    )
    for clip, hypotheses in enumerate(found):
        best = hypotheses[0]
        assert_close(best.tokens.numpy(), theirs[f"{name}.{clip}.tokens"], 0)
        assert_close(best.score, theirs[f"{name}.{clip}.score"], 1e-4)
        assert_close([h.score for h in hypotheses], theirs[f"{name}.{clip}.nbest_scores"], 1e-4)
        assert_close(best.log_probs.numpy(), theirs[f"{name}.{clip}.pos_scores"], 1e-4)


@pytest.fixture
def tiny() -> LipReader:
    """Random weights that end some hypotheses early and others late."""
    torch.manual_seed(0)
    model = LipReader(TINY).eval()
    model.decoder.embed_out.data *= 3
    return model


def tiny_memory(n_clips: int = 2, n_frames: int = 6) -> Tensor:
    torch.manual_seed(1)
    return 2 * torch.randn(n_clips, n_frames, 32)


def test_large_has_the_released_size() -> None:
    with torch.device("meta"):
        model = LipReader(LipReaderConfig())
    assert sum(p.numel() for p in model.decoder.parameters()) == 152_196_096


def test_base_has_the_released_size() -> None:
    base = replace(LipReaderConfig(), encoder=AVHubertConfig(d_model=768), n_layers=6, d_ffn=3072, n_heads=4)
    with torch.device("meta"):
        model = LipReader(replace(base, encoder=replace(base.encoder, n_layers=1, n_heads=12)))
    assert sum(p.numel() for p in model.decoder.parameters()) == 57_480_192


def test_positions_by_hand() -> None:
    tokens = torch.tensor([[EOS, 7, PAD, PAD], [EOS, 7, 8, 9]])
    assert token_positions(tokens).tolist() == [[2, 3, 1, 1], [2, 3, 4, 5]]
    assert sinusoids(torch.tensor([PAD]), 6).tolist() == [[0.0] * 6]


@torch.no_grad()
def test_later_tokens_change_no_earlier_logits(tiny: LipReader) -> None:
    memory = tiny_memory(1)
    tokens = torch.tensor([[EOS, 5, 6, 7]])
    other = torch.tensor([[EOS, 5, 9, PAD]])
    torch.testing.assert_close(
        tiny.decoder(tokens, memory, None)[0][:, :2], tiny.decoder(other, memory, None)[0][:, :2]
    )


@torch.no_grad()
def test_kept_keys_and_values_change_nothing(tiny: LipReader) -> None:
    memory = tiny_memory()
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[1, 4:] = True
    tokens = torch.tensor([[[EOS, 4, 5, 6], [EOS, 7, 8, 9]], [[EOS, 5, 5, 5], [EOS, 10, 11, 3]]])
    past, steps = None, []
    for position in range(4):
        logits, past = tiny.decoder.step(
            tokens[:, :, position], position, tiny.decoder.remember(memory), ~padding[:, None, None], past
        )
        steps.append(logits)
    whole, _ = tiny.decoder(tokens.flatten(0, 1), memory.repeat_interleave(2, 0), padding.repeat_interleave(2, 0))
    torch.testing.assert_close(torch.stack(steps, 2).flatten(0, 1), whole)


@torch.no_grad()
def plain_beam_search(reader: LipReader, memory: Tensor, config: BeamConfig) -> list[tuple[list[int], float]]:
    """One clip, no kept state, one hypothesis at a time: what `beam_search` must find."""
    limit = int(config.max_len_a * memory.shape[1] + config.max_len_b)
    alive: list[tuple[list[int], float]] = [([EOS], 0.0)]
    closed: list[tuple[list[int], float]] = []
    for step in range(limit + 1):
        candidates = []
        for tokens, score in alive:
            log_probs = reader.decoder(torch.tensor([tokens]), memory, None)[0][0, -1].log_softmax(-1)
            for token, log_prob in enumerate(log_probs.tolist()):
                allowed = token == EOS if step == limit else token != PAD and not (step == 0 and token == EOS)
                if allowed:
                    candidates.append(([*tokens, token], score + log_prob))
        candidates.sort(key=lambda candidate: -candidate[1])
        for tokens, score in candidates[: config.beam]:
            if tokens[-1] == EOS and len(closed) < config.beam:
                closed.append((tokens[1:], score / (len(tokens) - 1) ** config.length_penalty))
        if len(closed) == config.beam:
            break
        alive = [candidate for candidate in candidates if candidate[0][-1] != EOS][: config.beam]
    return sorted(closed, key=lambda hypothesis: -hypothesis[1])


@pytest.mark.parametrize(("beam", "penalty"), [(1, 1.0), (3, 0.0), (4, 1.0)])
def test_beam_search_equals_a_plain_one(tiny: LipReader, beam: int, penalty: float) -> None:
    config = BeamConfig(beam=beam, length_penalty=penalty)
    memory = tiny_memory(3, 5)
    for clip, hypotheses in enumerate(beam_search(tiny, memory, None, config)):
        expected = plain_beam_search(tiny, memory[clip : clip + 1], config)
        assert [h.tokens.tolist() for h in hypotheses] == [tokens for tokens, _ in expected]
        np.testing.assert_allclose([h.score for h in hypotheses], [score for _, score in expected], atol=1e-4)


def as_lists(hypotheses: list[Hypothesis]) -> list[list[int]]:
    return [hypothesis.tokens.tolist() for hypothesis in hypotheses]


def test_a_clip_is_read_the_same_in_any_batch(tiny: LipReader) -> None:
    config = BeamConfig(beam=4)
    lengths = [3, 8, 5]
    memory = tiny_memory(3, 8)
    padding = torch.arange(8) >= torch.tensor(lengths)[:, None]
    together = beam_search(tiny, memory, padding, config)
    for clip, length in enumerate(lengths):
        (alone,) = beam_search(tiny, memory[clip : clip + 1, :length], None, config)
        assert as_lists(alone) == as_lists(together[clip])
        assert max(len(h.tokens) for h in alone) <= length + 1


def test_length_has_a_hard_cap(tiny: LipReader) -> None:
    (hypotheses,) = beam_search(tiny, tiny_memory(1), None, BeamConfig(beam=2, max_len_b=50, max_tokens=4))
    assert all(len(h.tokens) <= 5 and h.tokens[-1] == EOS for h in hypotheses)


def test_a_beam_wider_than_the_vocabulary(tiny: LipReader) -> None:
    (hypotheses,) = beam_search(tiny, tiny_memory(1), None, BeamConfig(beam=50))
    assert len(hypotheses) == 11
    assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


def test_beam_search_in_training_mode_is_refused(tiny: LipReader) -> None:
    with pytest.raises(ValueError, match="eval mode"):
        beam_search(tiny.train(), tiny_memory(), None, BeamConfig(beam=2))


def test_no_room_for_a_token_is_refused(tiny: LipReader) -> None:
    with pytest.raises(ValueError, match="allow no token"):
        beam_search(tiny, tiny_memory(), None, BeamConfig(beam=2, max_len_a=0.1))


def test_ctc_head_is_trained_on_the_encoder() -> None:
    torch.manual_seed(0)
    model = LipReader(replace(TINY, ctc_head=True)).eval()
    reading = model(torch.randn(2, 6, 104), None, None, torch.tensor([[EOS, 5], [EOS, 6]]))
    assert reading.ctc_logits is not None
    assert reading.ctc_logits.shape == (2, 6, 12)
    assert reading.attention is None
