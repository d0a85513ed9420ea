"""Fine-tuning: two clips are read after a minute's training, the alignment draws f^a and f^v together, what is frozen
stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import OPTIM, assert_resumes, curve
from tiny import CROP, ENCODER, SENTENCES, reader, samples, tokenizer
from torch import nn

from synctalk.checkpoints import save
from synctalk.errors import UserError
from synctalk.evaluation.judges.lip_reader import read_lips
from synctalk.evaluation.judges.readers import alignment_figures
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.beam_search import BeamConfig
from synctalk.training.finetune import FinetuneParams, FinetuneTask, FinetuneWeights, begin_reader
from synctalk.training.fit import fit

WEIGHTS = FinetuneWeights(lip_reading=1.0, alignment=1.0, ctc=0.5, audio_lip_reading=0.5)
PARAMS = FinetuneParams(
    batch_frames=0, recompute=False, freeze_steps=0,
    start="", corpora=("lrs2",), alignment=AlignmentConfig(kind="local", kernel=3), temperature=1.0, weights=WEIGHTS,
    smoothing=0.0, freeze="front_end", optim=replace(OPTIM, steps=100, batch_clips=2),
)  # fmt: skip
BEAM = BeamConfig(beam=2, length_penalty=1.0, max_len_a=0.0, max_len_b=40, max_tokens=40)


@pytest.mark.parametrize("freeze", ["none", "front_end"])
def test_two_clips_are_read_word_for_word(tmp_path: Path, freeze: str) -> None:
    torch.manual_seed(0)
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 2)
    model = reader(vocabulary=len(pieces))
    before = alignment_figures(model, cache, CROP)
    params = replace(PARAMS, freeze=freeze)
    state = fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=0), folder=tmp_path, label="test")
    for name, factor in (("lip_reading", 10), ("audio_lip_reading", 4), ("alignment", 2), ("ctc", 1.5)):
        assert curve(state, name)[-1] < curve(state, name)[0] / factor
    assert not model.training
    assert read_lips(model, pieces, [cache[0].mouth, cache[1].mouth], CROP, BEAM) == list(SENTENCES[:2])
    assert np.mean(alignment_figures(model, cache, CROP)["paired_l1"]) < np.mean(before["paired_l1"]) / 2


def test_a_frozen_front_end_keeps_its_bytes_and_gets_no_gradient(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 2)
    model = reader(vocabulary=len(pieces))
    resnet = model.encoder.w2v_model.feature_extractor_video.resnet
    before = {key: value.clone() for key, value in model.state_dict().items()}
    params = replace(PARAMS, optim=replace(OPTIM, steps=2, batch_clips=2, weight_decay=0.1))
    fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=0), folder=tmp_path, label="test")
    assert all(parameter.grad is None for parameter in resnet.parameters())
    for key, value in model.state_dict().items():
        frozen = key.startswith("encoder.w2v_model.feature_extractor_video.resnet.")
        # a bias of keys has no gradient: softmax does not see it
        if frozen or not key.endswith("k_proj.bias"):
            assert torch.equal(value, before[key]) == frozen, key


def test_a_front_end_that_is_not_frozen_learns_and_its_video_is_varied(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 2)
    model = reader(vocabulary=len(pieces))
    resnet = model.encoder.w2v_model.feature_extractor_video.resnet
    before = {key: value.clone() for key, value in resnet.state_dict().items()}
    params = replace(PARAMS, freeze="none", optim=replace(OPTIM, steps=2, batch_clips=2))
    fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=0), folder=tmp_path, label="test")
    moved = [key for key, value in resnet.state_dict().items() if not torch.equal(value, before[key])]
    assert any(key.endswith("running_mean") for key in moved)
    assert any(key.endswith("conv1.weight") for key in moved)


def test_av_hubert_is_fine_tuned_by_lip_reading_alone(tmp_path: Path) -> None:
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 2)
    model = reader("none", vocabulary=len(pieces))
    sound = model.encoder.w2v_model.feature_extractor_audio.proj.weight.clone()
    weights = FinetuneWeights(lip_reading=1.0, alignment=0.0, ctc=0.0, audio_lip_reading=0.0)
    params = replace(PARAMS, weights=weights, optim=replace(OPTIM, steps=2))
    state = fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=0), folder=tmp_path, label="test")
    assert {name for _, name, _ in state.curves} == {"lip_reading", "ctc", "gradient_norm"}
    assert torch.equal(model.encoder.w2v_model.feature_extractor_audio.proj.weight, sound)


def test_the_encoder_is_tuned_after_its_frozen_steps_and_not_before(tmp_path: Path) -> None:
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 3)
    start = reader(vocabulary=len(pieces))

    def tuned(steps: int, freeze_steps: int) -> AVSyncNet:
        model = AVSyncNet(start.config, start.alignment)
        model.load_state_dict(start.state_dict())
        params = replace(
            PARAMS, freeze="none", freeze_steps=freeze_steps, optim=replace(OPTIM, steps=steps, weight_decay=0.1)
        )
        folder = tmp_path / f"{steps}-{freeze_steps}"
        folder.mkdir()
        fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=0), folder=folder, label="test")
        return model

    frozen = tuned(3, 3)
    before = start.state_dict()
    for key, value in frozen.state_dict().items():
        if key.startswith("encoder."):
            assert torch.equal(value, before[key]), key
    assert not torch.equal(frozen.decoder.embed_tokens.weight, before["decoder.embed_tokens.weight"])
    assert all(parameter.requires_grad for parameter in frozen.parameters())
    # one step more: weights of the first convolution and the means of its batch norm
    resnet = "encoder.w2v_model.feature_extractor_video.resnet."
    moved = {key for key, value in tuned(4, 3).state_dict().items() if not torch.equal(value, before[key])}
    assert any(key.startswith(resnet) and key.endswith("running_mean") for key in moved)
    assert any(key.startswith(resnet) and key.endswith("conv1.weight") for key in moved)


def test_a_run_that_is_cut_off_while_frozen_or_after_ends_with_the_same_bits(tmp_path: Path) -> None:
    """With recomputed layers, dropout and batches by frames."""
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 4)
    params = replace(
        PARAMS, freeze="none", freeze_steps=3, recompute=True, batch_frames=60, optim=replace(OPTIM, steps=5)
    )

    def train(folder: Path) -> nn.Module:
        torch.manual_seed(0)
        config = reader(vocabulary=len(pieces)).config
        model = AVSyncNet(replace(config, encoder=replace(config.encoder, dropout=0.1)), params.alignment)
        fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=1), folder=folder, label="test")
        return model

    for cut in (2, 4):
        (tmp_path / str(cut)).mkdir()
        assert_resumes(train, tmp_path / str(cut), cut)


@pytest.mark.parametrize(("freeze", "kind"), [("front_end", "local"), ("none", "conv")])
def test_a_run_that_is_cut_off_ends_with_the_same_bits(tmp_path: Path, freeze: str, kind: str) -> None:
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 3)
    params = replace(
        PARAMS,
        freeze=freeze,
        alignment=AlignmentConfig(kind=kind, kernel=3),
        optim=replace(OPTIM, steps=5, batch_clips=2),
    )

    def train(folder: Path) -> nn.Module:
        torch.manual_seed(0)
        config = replace(reader(kind, vocabulary=len(pieces)).config, dropout=0.1)
        model = AVSyncNet(config, params.alignment)
        fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=1), folder=folder, label="test")
        return model

    assert_resumes(train, tmp_path, 3)


def test_the_alignment_of_conv_trains_its_convolution(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pieces, cache = tokenizer(), samples(tmp_path / "shards", 2)
    model = reader("conv", vocabulary=len(pieces))
    before = model.align_conv.tap_logits.clone()
    params = replace(PARAMS, optim=replace(OPTIM, steps=2))
    fit(FinetuneTask(model, cache, pieces, params, crop=CROP, seed=0), folder=tmp_path, label="test")
    assert not torch.equal(model.align_conv.tap_logits, before)


def test_a_reader_begins_with_a_pretrained_encoder_or_with_all_of_a_reader(tmp_path: Path) -> None:
    torch.manual_seed(5)
    config = replace(reader().config, vocabulary=1000)
    for name, network in (("pretrained", AVHubert(ENCODER)), ("reader", reader()), ("generator", nn.Linear(1, 1))):
        (tmp_path / name).mkdir()
        if name != "generator":
            save(network, tmp_path / name / "model.safetensors", {})
        if name == "pretrained":
            encoder = network.backbone_state()
        elif name == "reader":
            whole = network.state_dict()
    first = begin_reader(config, PARAMS, tmp_path / "pretrained", 40, seed=0)
    assert first.config.vocabulary == 40
    assert all(torch.equal(first.encoder.w2v_model.state_dict()[key], value) for key, value in encoder.items())
    # the convolution of `conv` is new where the reader before had none
    params = replace(PARAMS, alignment=AlignmentConfig(kind="conv", kernel=3))
    second = begin_reader(config, params, tmp_path / "reader", 40, seed=0)
    assert all(torch.equal(second.state_dict()[key], value) for key, value in whole.items())
    assert set(second.state_dict()) - set(whole) == {"align_conv.tap_logits"}
    with pytest.raises(UserError):
        begin_reader(config, PARAMS, tmp_path / "generator", 40, seed=0)
