from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from parity import assert_same_network, filled, normal, reference
from torch import Tensor

from synctalk.models.av_hubert import BASE, AVHubert, AVHubertConfig
from synctalk.models.masking import SpanMasks, draw_span_masks
from synctalk.models.resnet import BasicBlock, FrontEndConfig, VideoFrontEnd

PEER_SMALL = AVHubertConfig(d_model=64, n_layers=2, d_ffn=128, n_heads=4, n_labels=24, d_label=32)
TINY = AVHubertConfig(
    d_model=32,
    n_layers=2,
    d_ffn=32,
    n_heads=2,
    pos_conv_kernel=8,
    pos_conv_groups=4,
    n_labels=12,
    d_label=8,
    front_end=FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 1)),
)


@pytest.fixture(scope="module")
def peer_small(shared: Path) -> AVHubert:
    return filled(AVHubert(PEER_SMALL), shared, "avhubert_small_pretrain")


def peer_inputs(shared: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Audio [2, 12, 104], video [2, 1, 12, 88, 88], padding (row 1 from frame 9)."""
    padding = torch.zeros(2, 12, dtype=torch.bool)
    padding[1, 9:] = True
    return (
        normal(shared, "avh.audio", 2, 104, 12).transpose(1, 2),
        normal(shared, "avh.video", 2, 1, 12, 88, 88),
        padding,
    )


@torch.no_grad()
def test_front_end_is_the_peers(shared: Path, peer_small: AVHubert) -> None:
    theirs = reference(shared, "avhubert_small")
    audio, video, _ = peer_inputs(shared)
    front_end = peer_small.feature_extractor_video.resnet
    x = front_end.frontend3D(video)
    assert_same_network(x.mean((3, 4)), theirs["resnet_frontend_mean"])
    x = x.transpose(1, 2).flatten(0, 1)
    for number, stage in enumerate(front_end.trunk.children(), 1):
        x = stage(x)
        assert_same_network(x.mean((2, 3)), theirs[f"resnet_layer{number}_mean"])
    assert_same_network(front_end(video).transpose(1, 2), theirs["resnet_out"])
    assert_same_network(peer_small.feature_extractor_video(video).transpose(1, 2), theirs["feat_video"])
    assert_same_network(peer_small.feature_extractor_audio(audio).transpose(1, 2), theirs["feat_audio"])


@pytest.mark.parametrize("width", [4, 16])
def test_a_shortcut_of_few_channels_has_the_gradient_of_its_sum(width: int) -> None:
    """That of a 1x1 convolution by hand: over frames and every second pixel, output's gradient times input."""
    torch.manual_seed(0)
    block = BasicBlock(width, 8, 2, "prelu").to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in Trunk
    shortcut = block.downsample[0]
    made: list[Tensor] = []
    shortcut.register_forward_hook(lambda _module, _given, out: out.retain_grad() or made.append(out))
    x = torch.rand(3, width, 12, 12).contiguous(memory_format=torch.channels_last)
    out = block(x)
    (out * torch.linspace(0, 1, out.numel()).view(out.shape)).sum().backward()
    wanted = torch.einsum("nohw,nihw->oi", made[0].grad, x[..., ::2, ::2])
    torch.testing.assert_close(shortcut.weight.grad[..., 0, 0], wanted, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_positional_convolution_is_the_peers(shared: Path, peer_small: AVHubert) -> None:
    x = normal(shared, "avh.posconv", 1, 20, 64)
    ours = peer_small.encoder.pos_conv(x.transpose(1, 2)).transpose(1, 2)
    assert_same_network(ours, reference(shared, "avhubert_small")["pos_conv"])


@pytest.mark.parametrize("suffix", ["", ".layer1"])
@pytest.mark.parametrize("padded", ["nopad", "pad"])
@pytest.mark.parametrize("modality", ["video", "audio", "both"])
@torch.no_grad()
def test_encodings_are_the_peers(shared: Path, peer_small: AVHubert, modality: str, padded: str, suffix: str) -> None:
    theirs = reference(shared, "avhubert_small")[f"finetune.{modality}.{padded}{suffix}"]
    audio, video, padding = peer_inputs(shared)
    ours = peer_small.extract(
        None if modality == "video" else audio,
        None if modality == "audio" else video,
        padding if padded == "pad" else None,
        layer=1 if suffix else None,
    )
    assert_same_network(ours, theirs)


@pytest.mark.parametrize("suffix", ["", ".layer1"])
@torch.no_grad()
def test_features_for_clustering_are_the_peers(shared: Path, peer_small: AVHubert, suffix: str) -> None:
    theirs = reference(shared, "avhubert_small")[f"features.both.pad{suffix}"]
    assert_same_network(peer_small.extract(*peer_inputs(shared), layer=1 if suffix else None), theirs)


@torch.no_grad()
def test_post_norm_and_added_modalities_are_the_peers(shared: Path) -> None:
    config = replace(PEER_SMALL, layer_norm_first=False, fusion="add")
    model = filled(AVHubert(config), shared, "avhubert_small_postnorm_add")
    theirs = reference(shared, "avhubert_small")["postnorm_add.both.pad"]
    assert_same_network(model.extract(*peer_inputs(shared)), theirs)


def test_recomputed_layers_give_the_same_gradient_with_dropout() -> None:
    """One draw of chance before each pass; masks of dropout and skipped layers are the same in the second pass."""
    torch.manual_seed(0)
    config = replace(PEER_SMALL, n_layers=4, dropout=0.3, attention_dropout=0.3, activation_dropout=0.3, layerdrop=0.3)
    encoder = AVHubert(config).encoder.train()
    x, padding = torch.randn(2, 9, 64), torch.arange(9)[None] >= torch.tensor([[9], [6]])
    gradients, kept = [], []
    for recompute in (False, True):
        encoder.recompute = recompute
        encoder.zero_grad()
        saved: list[int] = []
        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(lambda t, saved=saved: saved.append(t.numel()) or t, lambda t: t):
            loss = encoder(x, padding).square().sum()
        loss.backward()
        gradients.append([p.grad for p in encoder.parameters() if p.grad is not None])
        kept.append(sum(saved))
    assert len(gradients[0]) == len(gradients[1])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert kept[1] < kept[0] / 2


@pytest.mark.parametrize(
    ("config", "expected"), [(AVHubertConfig(), 324_623_080), (BASE, 102_620_392)], ids=["large", "base"]
)
def test_parameters_of_the_released_sizes(config: AVHubertConfig, expected: int) -> None:
    with torch.device("meta"):
        model = AVHubert(config)
    head = ("final_proj", "label_embs_concat")
    assert sum(p.numel() for name, p in model.named_parameters() if not name.startswith(head)) == expected


def tiny_inputs(n_frames: int = 7) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, n_frames, 104), torch.randn(2, 1, n_frames, 24, 24)


@pytest.fixture
def tiny() -> AVHubert:
    torch.manual_seed(0)
    return AVHubert(TINY)


@torch.no_grad()
def test_padding_changes_no_real_frame(tiny: AVHubert) -> None:
    tiny.eval()
    audio, video = tiny_inputs()
    padding = torch.zeros(2, 10, dtype=torch.bool)
    padding[:, 7:] = True
    longer = tiny.extract(
        torch.nn.functional.pad(audio, (0, 0, 0, 3)), torch.nn.functional.pad(video, (0, 0, 0, 0, 0, 3)), padding
    )
    torch.testing.assert_close(longer[:, :7], tiny.extract(audio, video))


@torch.no_grad()
def test_a_missing_modality_is_zeros_after_its_projection(tiny: AVHubert) -> None:
    tiny.eval()
    audio, _ = tiny_inputs()
    features = tiny.feature_extractor_audio(audio)
    fused = tiny.fuse(features, torch.zeros_like(features))
    expected = tiny.encoder(tiny.post_extract_proj(tiny.layer_norm(fused)), None)
    torch.testing.assert_close(tiny.extract(audio, None), expected)


def test_no_modality_is_refused(tiny: AVHubert) -> None:
    with pytest.raises(ValueError, match="both missing"):
        tiny.extract(None, None)


@torch.no_grad()
def test_last_layer_without_the_final_norm(tiny: AVHubert) -> None:
    tiny.eval()
    audio, video = tiny_inputs()
    last = tiny.extract(audio, video, layer=2)
    torch.testing.assert_close(tiny.encoder.layer_norm(last), tiny.extract(audio, video))


@torch.no_grad()
def test_input_masks_show_other_frames_and_the_mask_embedding(tiny: AVHubert) -> None:
    audio, video = tiny_inputs()
    hide_audio, hide_video = torch.zeros(2, 7, dtype=torch.bool), torch.zeros(2, 7, dtype=torch.bool)
    hide_audio[0, 2], hide_video[1, 4] = True, True
    shown = torch.arange(7).repeat(2, 1)
    shown[1, 4] = 0
    masked_audio, masked_video = tiny.mask_inputs(audio, video, SpanMasks(hide_audio, hide_video, shown))
    assert torch.equal(masked_audio[0, 2], tiny.mask_emb)
    assert torch.equal(masked_video[1, :, 4], video[1, :, 0])
    masked_audio[0, 2], masked_video[1, :, 4] = audio[0, 2], video[1, :, 4]
    assert torch.equal(masked_audio, audio)
    assert torch.equal(masked_video, video)


@pytest.mark.parametrize("masking", ["input", "feature"])
def test_pretraining_head(masking: str) -> None:
    torch.manual_seed(0)
    model = AVHubert(replace(TINY, masking=masking, modality_dropout=0.0, layerdrop=0.0)).train()
    audio, video = tiny_inputs()
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[1, 5:] = True
    rng = np.random.default_rng(0)
    masks = draw_span_masks(np.array([7, 5]), 7, audio=(0.8, 2), video=(0.3, 2), rng=rng)
    prediction = model(audio, video, padding, masks)
    assert prediction.logits.shape == (2, 7, 12)
    assert prediction.logits.abs().max() <= 10.0 + 1e-4
    assert torch.equal(prediction.masked | prediction.unmasked, ~padding)
    assert not (prediction.masked & prediction.unmasked).any()
    (prediction.logits.square().mean() + prediction.feature_penalty).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_modality_dropout_takes_one_modality_from_the_batch() -> None:
    torch.manual_seed(0)
    model = AVHubert(replace(TINY, modality_dropout=1.0, audio_dropout=0.25)).train()
    draws = [model._kept_modalities() for _ in range(2000)]
    assert set(draws) == {(True, False), (False, True)}
    assert draws.count((False, True)) / 2000 == pytest.approx(0.25, abs=0.04)
    assert model.eval()._kept_modalities() == (True, True)


def test_front_end_without_ends_leaves_out_what_sees_beyond_the_clip() -> None:
    torch.manual_seed(0)
    front_end = VideoFrontEnd(FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 1))).eval()
    video = torch.randn(2, 1, 9, 32, 32)
    torch.testing.assert_close(front_end(video, ends=False), front_end(video)[:, 2:-2])


def test_gradient_of_the_front_ends_is_scaled() -> None:
    norms = []
    for share in (1.0, 0.1):
        torch.manual_seed(0)
        model = AVHubert(replace(TINY, feature_grad_mult=share)).eval()
        audio, video = tiny_inputs()
        features = model.extract(audio, video)
        # a layer norm's squares sum to nearly a constant, whose gradient float32 cannot tell from rounding
        (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
        norms.append(model.feature_extractor_audio.proj.weight.grad.norm())
    torch.testing.assert_close(norms[1], norms[0] * 0.1)


def test_backbone_loads_into_an_encoder_without_the_head(tiny: AVHubert) -> None:
    encoder = AVHubert(TINY, pretraining=False)
    encoder.load_state_dict(tiny.backbone_state())
    audio, video = tiny_inputs()
    with torch.no_grad():
        assert torch.equal(encoder.eval().extract(audio, video), tiny.eval().extract(audio, video))
