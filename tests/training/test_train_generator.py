"""Training the generator: one clip is learnt by eq. 7 alone, runs resume, and the terms reach what they should."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import ADAM, OPTIM, assert_resumes, curve, supervised, train_generator
from tiny import CROP, NETWORKS, reader, samples, tokenizer
from torch import nn

from synctalk.checkpoints import save
from synctalk.features import normalise_fbank
from synctalk.generation.faces import generate_faces
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.shards.cache import SampleCache
from synctalk.training.adversary import Adversary
from synctalk.training.generator import begin_generator, mouth_weights
from synctalk.training.generator_batches import talking_face_batch
from synctalk.training.methods import (
    RECONSTRUCTION_ONLY,
    AdversaryParams,
    GeneratorWeights,
    LipReadingParams,
    MethodParams,
    PhaseParams,
    TrainParams,
    ValidationParams,
)

TERMS = ("reconstruction", "adversarial", "lip_reading", "contrastive", "sync")
TRAIN = TrainParams(
    optim=replace(OPTIM, steps=40), adversary=AdversaryParams(optim=replace(ADAM, lr=0.001)), window_frames=4,
    window_share=0.2, mouth_weight=2.0, lip_reading=LipReadingParams(reduction="mean"),
    validation=ValidationParams(every=0, clips=0),
    phases={"whole": PhaseParams(begin=0, terms=TERMS, tuned_audio_layers=1)},
)  # fmt: skip
ALL_TERMS = replace(
    RECONSTRUCTION_ONLY,
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.1, lip_reading=0.1, contrastive=0.1, sync=0.0),
)


def two_mouths(folder: Path) -> tuple[SampleCache, np.ndarray]:
    """One clip whose mouth is dark or light as the sound says, and which of its frames are dark."""
    cache = samples(folder, 1)
    dark = np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0], bool)
    faces = np.full((20, 96, 96, 3), 150, np.uint8)
    faces[:, 60:80, 30:66] = np.where(dark, 40, 200)[:, None, None, None]
    sound = np.where(dark, 1, -1)[:, None] * np.random.default_rng(0).normal(size=104)
    cache[0].__dict__.update(faces=faces, fbank=sound.astype(np.float32))
    return cache, dark


def test_one_clip_is_learnt_from_reconstruction_alone_and_its_mouth_follows_the_sound(tmp_path: Path) -> None:
    (cache, dark), pieces = two_mouths(tmp_path / "shards"), tokenizer()
    # without the image skip: a network this small would go on copying the reference
    widths = (16,) * 4
    image = replace(
        NETWORKS.image, image_skip=False, encoder_widths=widths, decoder_widths=widths, output_width=16, d_audio=16
    )
    model, discriminator = begin_generator(replace(NETWORKS, image=image), "synctalklip", reader(), None, seed=0)
    adversary = {key: value.clone() for key, value in discriminator.state_dict().items()}
    params = replace(TRAIN, window_frames=8, optim=replace(OPTIM, steps=80))
    state = train_generator(
        model, discriminator, None, cache, pieces, RECONSTRUCTION_ONLY, params, crop=CROP, seed=0, folder=tmp_path
    )  # fmt: skip
    losses = curve(state, "reconstruction")
    assert losses[-1] < losses[0] / 3
    assert {name for _, name, _ in state.curves} == {"reconstruction", "gradient_norm"}
    # no adversarial weight: the discriminator is not even looked at
    assert all(torch.equal(value, adversary[key]) for key, value in discriminator.state_dict().items())
    sample = cache[0]
    made = generate_faces(model, sample.faces, sample.faces[:1], normalise_fbank(sample.fbank), np.arange(20), 8)
    level = made[:, 60:80, 30:66].mean((1, 2, 3))
    assert level[dark].max() < level[~dark].min() - 20


def test_a_model_that_made_faces_can_be_trained_on(tmp_path: Path) -> None:
    cache, pieces = samples(tmp_path / "shards", 1), tokenizer()
    model, discriminator = begin_generator(NETWORKS, "synctalklip", reader(), None, seed=0)
    sample = cache[0]
    generate_faces(model.eval(), sample.faces, sample.faces[:1], normalise_fbank(sample.fbank), np.arange(20), 8)
    state = train_generator(
        model, discriminator, None, cache, pieces, RECONSTRUCTION_ONLY, replace(TRAIN, optim=replace(OPTIM, steps=1)),
        crop=CROP, seed=0, folder=tmp_path
    )  # fmt: skip
    assert curve(state, "gradient_norm")[0] > 0


@pytest.mark.parametrize("cut_at", [2, 5])
def test_a_run_that_is_cut_off_ends_with_the_same_bits(tmp_path: Path, cut_at: int) -> None:
    """Two updates a step, the discriminator's first: the cut falls before a step, and between its updates."""
    cache, pieces = samples(tmp_path / "shards", 3), tokenizer()
    watcher = reader(vocabulary=len(pieces))
    params = replace(TRAIN, optim=replace(OPTIM, steps=4, batch_clips=2))

    def train(folder: Path) -> nn.Module:
        model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
        train_generator(
            model, discriminator, watcher, cache, pieces, ALL_TERMS, params, crop=CROP, seed=2, folder=folder
        )  # fmt: skip
        return nn.ModuleDict({"generator": model, "discriminator": discriminator})

    assert_resumes(train, tmp_path, cut_at)


def test_the_first_step_of_a_method_depends_on_each_of_its_weights(tmp_path: Path) -> None:
    """Every term of eq. 13 moves the generator: the norm of the first gradient changes with its weight."""
    cache, pieces = samples(tmp_path / "shards", 2), tokenizer()
    watcher = reader(vocabulary=len(pieces))

    def first_norm(name: str, **weights: float) -> float:
        (tmp_path / name).mkdir()
        model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
        # as it begins, a discriminator this small hardly slopes
        for parameter in discriminator.parameters():
            parameter.data *= 3
        method: MethodParams = replace(ALL_TERMS, weights=replace(ALL_TERMS.weights, **weights))
        state = train_generator(
            model, discriminator, watcher, cache, pieces, method, replace(TRAIN, optim=replace(OPTIM, steps=1)),
            crop=CROP, seed=2, folder=tmp_path / name
        )  # fmt: skip
        return curve(state, "gradient_norm")[0]

    norm = first_norm("all")
    for name in ("reconstruction", "adversarial", "lip_reading", "contrastive"):
        assert abs(first_norm(name, **{name: 2.0}) - norm) > 1e-3 * norm, name


@pytest.mark.parametrize(("kind", "reach"), [("local", 0), ("conv", 1)])
def test_conv_compares_neighbouring_frames_and_local_does_not(tmp_path: Path, kind: str, reach: int) -> None:
    torch.manual_seed(0)
    cache, pieces = samples(tmp_path, 1), tokenizer()
    network = reader(kind, vocabulary=len(pieces))
    model, _ = begin_generator(NETWORKS, "synctalklip", network, None, seed=0)
    supervisor = supervised(network, model, cache, ALL_TERMS, TRAIN, CROP)
    batch = talking_face_batch(
        cache, [0], crop=CROP, window=4, share=0.0, tokenizer=pieces, rng=np.random.default_rng(3)
    )
    start = int(batch.window_start[0])
    assert 1 <= start <= 14
    audio, video = (torch.randn(1, 20, 16, requires_grad=True) for _ in range(2))
    supervisor.contrastive(model.contrastive_head, audio, video, batch, torch.Generator().manual_seed(0)).backward()
    for encoding in (audio, video):
        seen = torch.nonzero(encoding.grad[0].abs().sum(-1)).flatten().tolist()
        assert seen == list(range(start - reach, start + 4 + reach))


def test_pixels_of_the_mouth_weigh_more() -> None:
    weight = mouth_weights(96, 4.0)
    assert weight.shape == (96, 96)
    assert float(weight.sum()) == 96 * 96 + 3 * 36 * 48
    assert set(weight[54:90, 24:72].unique().tolist()) == {4.0}
    assert set(mouth_weights(96, 1.0).unique().tolist()) == {1.0}


def test_a_method_begins_with_the_common_start_and_its_own_supervisors_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = reader(), reader()
    start, _ = begin_generator(NETWORKS, "synctalklip", first, None, seed=0)
    save(start, tmp_path / "model.safetensors", {})
    model, discriminator = begin_generator(NETWORKS, "synctalklip", second, tmp_path, seed=1)
    _, same_seed = begin_generator(NETWORKS, "synctalklip", first, None, seed=1)
    theirs = {f"audio_encoder.w2v_model.{key}": value for key, value in second.encoder.w2v_model.state_dict().items()}
    for key, value in model.state_dict().items():
        assert torch.equal(value, theirs.get(key, start.state_dict()[key])), key
    for a, b in zip(discriminator.parameters(), same_seed.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("asked", "seen"), [(0, 8), (3, 3), (99, 8)])
def test_the_adversary_sees_as_many_frames_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int, seen: int
) -> None:
    """Two clips of a window of four frames; real and made frames are the same ones, drawn anew each step."""
    cache, pieces = samples(tmp_path / "shards", 2), tokenizer()
    shown: list[tuple[torch.Tensor, torch.Tensor]] = []

    def learn(adversary: Adversary, step: int) -> dict[str, float]:
        shown.extend(adversary.pairs)
        adversary.pairs.clear()
        return {}

    monkeypatch.setattr(Adversary, "learn", learn)
    watcher = reader(vocabulary=len(pieces))
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    method = replace(RECONSTRUCTION_ONLY, weights=replace(RECONSTRUCTION_ONLY.weights, adversarial=0.1))
    params = replace(
        TRAIN, optim=replace(OPTIM, steps=2, batch_clips=2), adversary=AdversaryParams(optim=ADAM, frames=asked),
        window_frames=4, window_share=0.0,
    )  # fmt: skip
    train_generator(model, discriminator, None, cache, pieces, method, params, crop=CROP, seed=2, folder=tmp_path)
    assert [(len(real), len(fake)) for real, fake in shown] == [(seen, seen)] * 2


def test_micro_batches_are_all_judged_and_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four clips in two micro-batches of bfloat16: one update of either network a step, from the faces of both."""
    cache, pieces = samples(tmp_path / "shards", 4), tokenizer()
    learnt: list[list[int]] = []
    real = Adversary.learn

    def learn(adversary: Adversary, step: int) -> dict[str, float]:
        learnt.append([len(made) for _, made in adversary.pairs])
        return real(adversary, step)

    monkeypatch.setattr(Adversary, "learn", learn)
    watcher = reader(vocabulary=len(pieces))
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    before = [weight.detach().clone() for weight in discriminator.parameters()]
    method = replace(RECONSTRUCTION_ONLY, weights=replace(RECONSTRUCTION_ONLY.weights, adversarial=0.1))
    optim = replace(OPTIM, steps=2, batch_clips=4, micro_batches=2, precision="bfloat16")
    params = replace(
        TRAIN, optim=optim, adversary=AdversaryParams(optim=replace(ADAM, precision="bfloat16"), frames=6),
        window_frames=4, window_share=0.0,
    )  # fmt: skip
    state = train_generator(
        model, discriminator, None, cache, pieces, method, params, crop=CROP, seed=2, folder=tmp_path
    )
    assert learnt == [[3, 3]] * 2
    assert {name for _, name, _ in state.curves} == {"reconstruction", "adversarial", "discriminator", "gradient_norm"}
    assert any(not torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))


def test_the_discriminator_learns_from_every_part_by_its_faces() -> None:
    """Five faces of each kind in one part, or in parts of three and two: the same gradient and loss."""
    torch.manual_seed(0)
    discriminator = FaceDiscriminator(NETWORKS.discriminator)
    real, made = torch.rand(5, 3, 96, 96), torch.rand(5, 3, 96, 96)
    found = []
    for parts in ([slice(0, 5)], [slice(0, 3), slice(3, 5)]):
        params = AdversaryParams(optim=replace(ADAM, clip_norm=0.0))
        adversary = Adversary(copy.deepcopy(discriminator), params, steps=1)
        adversary.pairs = [(real[part], made[part]) for part in parts]
        loss = adversary.learn(0)["discriminator"]
        found.append((loss, torch.cat([p.grad.flatten() for p in adversary.discriminator.parameters()])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)
