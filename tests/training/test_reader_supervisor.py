"""The supervisor's shortcut against the long way, and what the variants of paper §3.4 must do."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import ADAM, supervised, train_generator
from overfit import OPTIM as BASE
from tiny import CROP, ENCODER, NETWORKS, reader, samples, tokenizer

from synctalk.checkpoints import save
from synctalk.errors import UserError
from synctalk.faces.align import MouthParams
from synctalk.features.speech_batch import pad_stack
from synctalk.features.tokens import Tokenizer
from synctalk.losses.contrastive import draw_negatives
from synctalk.models.av_syncnet import AVSyncNet, NeighbourConv
from synctalk.models.generator import AudioEncoding
from synctalk.models.lip_reader import PAD
from synctalk.models.synctalklip import generator_input, mask_lower_half
from synctalk.shards.cache import SampleCache
from synctalk.training.finetune import front_end_features
from synctalk.training.generator import begin_generator
from synctalk.training.generator_batches import TalkingFaceBatch, talking_face_batch
from synctalk.training.methods import (
    AdversaryParams,
    ContrastiveParams,
    GeneratorWeights,
    LipReadingParams,
    MethodParams,
    PhaseParams,
    TrainParams,
    ValidationParams,
)
from synctalk.training.reader_supervisor import ReaderSupervisor, require_mouth
from synctalk.training.terms import MadeFaces

OPTIM = replace(BASE, steps=2, batch_clips=2, warmup_steps=0, clip_norm=0.0)
TRAIN = TrainParams(
    optim=OPTIM, adversary=AdversaryParams(optim=ADAM), window_frames=4, window_share=0.1, mouth_weight=2.0,
    lip_reading=LipReadingParams(reduction="mean"), validation=ValidationParams(every=0, clips=0),
    phases={
        "whole": PhaseParams(
            begin=0, terms=("reconstruction", "adversarial", "lip_reading", "contrastive"), tuned_audio_layers=1
        )
    },
)  # fmt: skip
METHOD = MethodParams(
    network="synctalklip",
    supervisor="models/finetune/av_syncnet",
    audio_anchor="tuned",
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.1, lip_reading=0.1, contrastive=0.1, sync=0.0),
)


def a_supervisor(cache: SampleCache, pieces: Tokenizer, method: MethodParams = METHOD) -> ReaderSupervisor:
    """A tiny reader as supervisor of a generator that begins as it."""
    network = reader(vocabulary=len(pieces))
    model, _ = begin_generator(NETWORKS, "synctalklip", network, None, seed=0)
    return supervised(network, model, cache, method, TRAIN, CROP)


def a_batch(
    folder: Path, window: int = 4, share: float = 0.2, seed: int = 0
) -> tuple[ReaderSupervisor, TalkingFaceBatch]:
    torch.manual_seed(seed)
    cache, pieces = samples(folder), tokenizer()
    supervisor = a_supervisor(cache, pieces)
    batch = talking_face_batch(
        cache, [0, 2, 3], crop=CROP, window=window, share=share, tokenizer=pieces, rng=np.random.default_rng(seed)
    )
    return supervisor, batch


@pytest.mark.parametrize(("window", "share", "seed"), [(4, 0.3, 0), (5, 0.15, 1), (19, 0.0, 2), (3, 0.3, 3)])
def test_reading_around_the_made_frames_equals_reading_the_whole_clip(
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
    seen = supervisor.supervise(made, batch)
    (seen.logits.sum() + seen.video_encoding.sum()).backward()
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
    supervisor.method = replace(METHOD, audio_anchor=anchor)
    head = model.contrastive_head
    supervisor.contrastive(head, encoding, video, batch, torch.Generator().manual_seed(0)).backward()
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
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    method = replace(METHOD, audio_anchor=anchor)
    state = train_generator(
        model, discriminator, watcher, cache, pieces, method, TRAIN, crop=CROP, seed=0, folder=tmp_path
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


@pytest.mark.parametrize("negatives", ["clip", "batch"])
def test_unpaired_frames_come_from_where_the_method_says(tmp_path: Path, negatives: str) -> None:
    """Of two clips, the video of the second changes: frames of the first notice where negatives are of the batch."""
    cache, pieces = samples(tmp_path), tokenizer()
    method = replace(METHOD, contrastive=ContrastiveParams(negatives=negatives), audio_anchor="tuned")
    supervisor = a_supervisor(cache, pieces, method)
    batch = talking_face_batch(
        cache, [0, 1], crop=CROP, window=6, share=0.0, tokenizer=pieces, rng=np.random.default_rng(0)
    )
    assert batch.clip.tolist() == [0] * 6 + [1] * 6
    audio, video = torch.randn(1, 1, 16).expand(2, 22, 16), torch.randn(2, 22, 16)
    audio = audio + 5 * torch.arange(2.0)[:, None, None]  # all frames of a clip sound alike, the clips do not

    class Plain(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

    loss = supervisor.contrastive(Plain(), audio, video, batch, torch.Generator().manual_seed(0))
    lips = torch.nn.functional.normalize(video[batch.clip, batch.frame], dim=-1)
    heads = audio[batch.clip, batch.frame]
    group = batch.clip if negatives == "clip" else torch.zeros(12, dtype=torch.int64)
    drawn = draw_negatives(12, group, torch.Generator().manual_seed(0))
    paired = (heads - lips).abs().sum(-1).mean()
    torch.testing.assert_close(loss, paired - (heads[drawn] - lips).abs().sum(-1).mean())


def test_lip_reading_that_is_summed_counts_whole_and_that_is_a_mean_by_its_pieces(tmp_path: Path) -> None:
    supervisor, batch = a_batch(tmp_path)
    pieces = int(batch.speech.target.ne(PAD).sum())
    assert supervisor.counts(batch)["lip_reading"] == pieces
    supervisor.lip_reading = LipReadingParams(reduction="sum")
    assert supervisor.counts(batch)["lip_reading"] is None


@pytest.mark.parametrize(
    ("form", "heeded"), [("released", set()), ("printed", {"tau", "margin"}), ("infonce", {"temperature"})]
)
def test_each_setting_is_of_its_form_alone(tmp_path: Path, form: str, heeded: set[str]) -> None:
    supervisor, batch = a_batch(tmp_path)
    rng = torch.Generator().manual_seed(0)
    audio, video = (torch.randn(*batch.speech.padding.shape, 16, generator=rng) for _ in range(2))

    def loss(**settings: float) -> float:
        params = ContrastiveParams(form=form, **settings)
        supervisor.method = replace(METHOD, contrastive=params)
        assert supervisor.head is not None
        found = supervisor.contrastive(supervisor.head, audio, video, batch, torch.Generator().manual_seed(0))
        return float(found.detach())

    plain = loss()
    assert {name for name in ("temperature", "tau", "margin") if loss(**{name: 2.5}) != plain} == heeded


def test_without_a_head_it_gives_lip_reading_alone(tmp_path: Path) -> None:
    supervisor, batch = a_batch(tmp_path)
    made = MadeFaces(
        faces=batch.target_faces, target=batch.target_faces, audio=AudioEncoding(torch.zeros(len(batch.frame), 4), None)
    )
    supervisor.head = None
    (name, value), *others = supervisor.terms(made, batch, torch.Generator()).items()
    assert (name, others) == ("lip_reading", [])
    seen = supervisor.supervise(batch.target_faces, batch)
    supervisor.lip_reading = replace(supervisor.lip_reading, smoothing=0.0)
    plain = supervisor.terms(made, batch, torch.Generator())["lip_reading"]
    target = batch.speech.target
    likely = seen.logits.log_softmax(-1).gather(-1, target[..., None])[..., 0]
    torch.testing.assert_close(plain, -likely[target.ne(PAD)].mean())
    assert not torch.equal(value, plain)
