"""The supervisor's shortcut against the long way, and what the variants of paper §3.4 must do."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, ENCODER, NETWORKS, reader, samples, tokenizer

from synctalk.checkpoints import save
from synctalk.errors import UserError
from synctalk.faces.align import MouthParams
from synctalk.features.speech_batch import pad_stack
from synctalk.losses.contrastive import draw_negatives
from synctalk.models.av_syncnet import AVSyncNet, NeighbourConv
from synctalk.models.synctalklip import generator_input, mask_lower_half
from synctalk.training.finetune import front_end_features
from synctalk.training.optim import OptimParams
from synctalk.training.schedule import PhaseParams, ValidationParams
from synctalk.training.supervisor import Supervisor, require_mouth
from synctalk.training.talking import (
    ContrastiveParams,
    GeneratorWeights,
    MethodParams,
    TrainParams,
    begin_generator,
    contrastive_term,
    train_generator,
)
from synctalk.training.talking_data import TalkingFaceBatch, talking_face_batch

OPTIM = OptimParams(
    hold_steps=0,
    steps=2, batch_clips=2, lr=0.01, warmup_steps=0, decay="none", final_lr_ratio=1.0, beta1=0.9, beta2=0.98, eps=1e-8,
    weight_decay=0.0, clip_norm=0.0, micro_batches=1, precision="float32",
)  # fmt: skip
TRAIN = TrainParams(
    optim=OPTIM, discriminator_optim=OPTIM, window_frames=4, window_share=0.1, mouth_weight=2.0, smoothing=0.1,
    lip_reduction="mean", adversarial_form="bce", adversary_frames=0, ema_decay=0.0,
    validation=ValidationParams(every=0, clips=0, patience=0),
    phases={
        "whole": PhaseParams(
            begin=0, terms=("reconstruction", "adversarial", "lip_reading", "contrastive"), tuned_audio_layers=1
        )
    },
)  # fmt: skip
METHOD = MethodParams(
    network="synctalklip",
    supervisor="models/finetune/av_syncnet",
    recipe="synctalklip",
    audio_anchor="tuned",
    contrastive=ContrastiveParams(form="released", negatives="batch", temperature=1.0, margin=1.0),
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.1, lip_reading=0.1, contrastive=0.1, sync=0.0),
)


def a_batch(folder: Path, window: int = 4, share: float = 0.2, seed: int = 0) -> tuple[Supervisor, TalkingFaceBatch]:
    torch.manual_seed(seed)
    cache, pieces = samples(folder), tokenizer()
    supervisor = Supervisor(reader(vocabulary=len(pieces)), cache, CROP)
    batch = talking_face_batch(
        cache, [0, 2, 3], crop=CROP, window=window, share=share, tokenizer=pieces, rng=np.random.default_rng(seed)
    )
    return supervisor, batch


@pytest.mark.parametrize(("window", "share", "seed"), [(4, 0.3, 0), (5, 0.15, 1), (19, 0.0, 2), (3, 0.3, 3)])
def test_watching_the_made_frames_only_equals_watching_the_whole_clip(
    tmp_path: Path, window: int, share: float, seed: int
) -> None:
    supervisor, batch = a_batch(tmp_path, window, share, seed)
    made = torch.rand(len(batch.clip), 3, 96, 96, requires_grad=True)
    video = supervisor.spliced_video(made, batch)
    resnet = supervisor.model.encoder.w2v_model.feature_extractor_video.resnet
    # the long way: every clip by itself through the whole front end
    whole = pad_stack([resnet(clip[None, None, :n])[0] for clip, n in zip(video, batch.speech.n_frames, strict=True)])
    quick = supervisor.front_end(video, batch)
    torch.testing.assert_close(quick, whole, atol=1e-5, rtol=1e-4)
    direction = torch.randn_like(whole)
    slow_gradient = torch.autograd.grad((whole * direction).sum(), made, retain_graph=True)[0]
    quick_gradient = torch.autograd.grad((quick * direction).sum(), made)[0]
    torch.testing.assert_close(quick_gradient, slow_gradient, atol=1e-5, rtol=1e-3)
    assert float(quick_gradient.abs().sum()) > 0


def test_pasting_the_real_faces_leaves_the_real_video_nearly_unchanged(tmp_path: Path) -> None:
    supervisor, batch = a_batch(tmp_path)
    features = pad_stack([supervisor.real_features[number] for number in batch.speech.numbers])
    video = supervisor.spliced_video(batch.target_faces, batch)
    untouched = torch.ones(video.shape[:2], dtype=torch.bool)
    untouched[batch.clip, batch.frame] = False
    quick = supervisor.front_end(video, batch)
    far = untouched.clone()
    for shift in range(1, 3):
        far[:, shift:] &= untouched[:, :-shift]
        far[:, :-shift] &= untouched[:, shift:]
    far &= ~batch.speech.padding
    assert far.any()
    torch.testing.assert_close(quick[far], features[far])


def test_the_supervisor_learns_nothing(tmp_path: Path) -> None:
    supervisor, batch = a_batch(tmp_path)
    made = torch.rand(len(batch.clip), 3, 96, 96, requires_grad=True)
    watched = supervisor.supervise(made, batch)
    (watched.logits.sum() + watched.video_encoding.sum()).backward()
    assert all(parameter.grad is None for parameter in supervisor.model.parameters())
    assert float(made.grad.abs().sum()) > 0


def test_features_of_a_frozen_front_end_equal_those_of_a_batch(tmp_path: Path) -> None:
    cache, model = samples(tmp_path), reader()
    kept = front_end_features(model, cache, CROP)
    assert [len(row) for row in kept] == [20, 22, 24, 26]
    assert not model.training


def test_the_lower_half_of_the_pose_is_hidden_and_the_reference_is_whole() -> None:
    faces = torch.rand(2, 3, 96, 96)
    masked = mask_lower_half(faces)
    assert float(masked[:, :, 48:].abs().sum()) == 0
    torch.testing.assert_close(masked[:, :, :48], faces[:, :, :48])
    both = generator_input(faces, faces)
    torch.testing.assert_close(both[:, 3:], faces)
    assert float(both[:, :3, 48:].sum()) == 0


def test_conv_alignment_sees_neighbours_and_local_does_not() -> None:
    conv = NeighbourConv(4, 3)
    x = torch.zeros(1, 9, 4)
    x[0, 4] = 1
    spread = conv(x)[0, :, 0].detach()
    assert torch.nonzero(spread).flatten().tolist() == [3, 4, 5]
    assert float(spread.sum()) == pytest.approx(1.0)
    assert reader("local").comparable(x) is x
    assert torch.equal(reader("conv").comparable(torch.ones(1, 5, 16)), torch.ones(1, 5, 16))


def test_conv_cannot_shrink_a_constant_distance() -> None:
    conv = NeighbourConv(4, 5)
    torch.nn.init.normal_(conv.tap_logits, std=5.0)
    torch.testing.assert_close(conv(torch.full((1, 7, 4), 3.0)), torch.full((1, 7, 4), 3.0))


def test_an_even_kernel_is_refused() -> None:
    conv = reader("conv")
    with pytest.raises(ValueError, match="kernel 4"):
        AVSyncNet(conv.config, replace(conv.alignment, kernel=4))


@pytest.mark.parametrize(("anchor", "tuned_learns"), [("tuned", True), ("frozen", False)])
def test_freeze_takes_the_contrastive_gradient_away_from_the_trained_encoder(
    tmp_path: Path, anchor: str, tuned_learns: bool
) -> None:
    supervisor, batch = a_batch(tmp_path)
    model, _ = begin_generator(NETWORKS, "synctalklip", supervisor.model, None, seed=0)
    model.tune_audio_encoder(1)
    encoding = model.encode_audio(batch.speech.audio, batch.speech.padding, batch.frame_index).encoding
    assert encoding is not None
    video = torch.randn(*batch.speech.padding.shape, ENCODER.d_model)
    method = replace(METHOD, audio_anchor=anchor)
    loss = contrastive_term(model, supervisor, batch, encoding, video, method, torch.Generator().manual_seed(0))
    loss.backward()
    layer = model.audio_encoder.w2v_model.encoder.layers[-1].fc1.weight
    assert (layer.grad is not None) == tuned_learns
    assert model.sync_net.Linearaudio.weight.grad is not None


def test_only_the_top_layers_of_the_audio_encoder_are_tuned() -> None:
    model, _ = begin_generator(NETWORKS, "synctalklip", reader(), None, seed=0)
    model.tune_audio_encoder(1)
    trained = {name for name, p in model.audio_encoder.named_parameters() if p.requires_grad}
    assert trained
    assert all("layers.1." in name or "encoder.layer_norm" in name for name in trained)
    model.tune_audio_encoder(0)
    assert not any(p.requires_grad for p in model.audio_encoder.parameters())
    assert all(p.requires_grad for p in model.face_decoder_blocks.parameters())


def test_the_generator_begins_with_the_supervisors_encoder() -> None:
    supervisor = reader()
    model, _ = begin_generator(NETWORKS, "synctalklip", supervisor, None, seed=0)
    ours, theirs = model.audio_encoder.w2v_model.state_dict(), supervisor.encoder.w2v_model.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("anchor", ["tuned", "frozen"])
def test_a_method_trains_and_the_frozen_parts_keep_their_bytes(tmp_path: Path, anchor: str) -> None:
    cache, pieces = samples(tmp_path / "shards"), tokenizer()
    watcher = reader(vocabulary=len(pieces))
    before = {key: value.clone() for key, value in watcher.state_dict().items()}
    supervisor = Supervisor(watcher, cache, CROP)
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    method = replace(METHOD, audio_anchor=anchor)
    state = train_generator(
        model, discriminator, supervisor, cache, pieces, method, TRAIN, crop=CROP, seed=0, folder=tmp_path, label="test"
    )
    names = {name for _, name, _ in state.curves}
    assert {"reconstruction", "adversarial", "lip_reading", "contrastive", "discriminator"} <= names
    assert all(torch.equal(value, before[key]) for key, value in watcher.state_dict().items())
    after = model.state_dict()
    assert not torch.equal(after["audio_encoder.w2v_model.encoder.layers.1.fc1.weight"],
                           start["audio_encoder.w2v_model.encoder.layers.1.fc1.weight"])  # fmt: skip
    frozen = "audio_encoder.w2v_model.encoder.layers.0.fc1.weight"
    assert torch.equal(after[frozen], start[frozen])


def test_negatives_of_one_clip_stay_in_it_where_asked() -> None:
    group = torch.tensor([0] * 10 + [1] * 10)
    negatives = draw_negatives(20, group, torch.Generator().manual_seed(0))[:9]
    assert bool((group[negatives] == group[None]).all())


def test_a_reader_of_other_mouth_regions_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    mouth = MouthParams(mode="mean_face", size=48, centre_px=96, window_frames=1)
    save(reader(), path, {"crop": 44, "mouth": asdict(mouth)})
    require_mouth(path, 44, mouth)
    for crop, other, words in (
        (40, mouth, "crop 44, those of this run have crop 40"),
        (44, replace(mouth, mode="centre"), "mode mean_face, those of this run have mode centre"),
        (44, replace(mouth, window_frames=12), "window_frames 1, those of this run have window_frames 12"),
    ):
        with pytest.raises(UserError, match=words):
            require_mouth(path, crop, other)
    save(reader(), path, {"name": "of an older version"})
    with pytest.raises(UserError, match="reads mouth regions of crop None"):
        require_mouth(path, 44, mouth)
