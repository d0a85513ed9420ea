from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from parity import assert_close, assert_same_network, filled, normal, reference, uniform
from torch import Tensor

from synctalk.losses.adversarial import generator_loss
from synctalk.losses.wav2lip_expert import cosines, sync_loss
from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.discriminator import DiscriminatorConfig, FaceDiscriminator
from synctalk.models.generator import (
    FaceGenerator,
    GeneratorConfig,
    SyncHead,
    TalkLipGenerator,
    Wav2LipConfig,
    Wav2LipGenerator,
    gather_frames,
)
from synctalk.models.resnet import FrontEndConfig
from synctalk.models.wav2lip_expert import Wav2LipExpert, Wav2LipExpertConfig

SMALL = GeneratorConfig(
    encoder_widths=(4, 8, 8, 16, 16, 16),
    encoder_residuals=(0, 1, 0, 0, 0, 0),
    decoder_widths=(16, 16, 16, 8, 8, 8),
    decoder_residuals=(0, 0, 0, 0, 0, 1),
    output_width=8,
    d_audio=16,
)
SMALL_ENCODER = AVHubertConfig(
    d_model=32,
    n_layers=1,
    d_ffn=32,
    n_heads=2,
    pos_conv_kernel=8,
    pos_conv_groups=4,
    front_end=FrontEndConfig(stem_width=4, widths=(4,), blocks=(1,)),
)


def peer_faces(shared: Path, name: str, *shape: int) -> Tensor:
    faces = uniform(shared, name, *shape)
    faces[:, :3, ..., 48:, :] = 0
    return faces


@torch.no_grad()
def test_wav2lip_is_the_peers(shared: Path) -> None:
    theirs = reference(shared, "wav2lip")
    model = filled(Wav2LipGenerator(Wav2LipConfig()), shared, "wav2lip")
    mel, faces = normal(shared, "wav2lip.mel", 2, 1, 80, 16) * 1.5, peer_faces(shared, "wav2lip.face", 2, 6, 96, 96)
    assert_same_network(model.audio_encoder(mel), theirs["gen.audio_emb"])
    x = faces
    for level, block in enumerate(model.face_encoder_blocks):
        x = block(x)
        assert_same_network(x.mean((2, 3)), theirs[f"gen.face_feat{level}_mean"])
    assert_same_network(model(mel, faces), theirs["gen.out"])


@torch.no_grad()
def test_wav2lip_of_five_axes_is_the_peers(shared: Path) -> None:
    theirs = reference(shared, "wav2lip")["gen5.out"]
    model = filled(Wav2LipGenerator(Wav2LipConfig()), shared, "wav2lip")
    mel = normal(shared, "wav2lip.mel5", 1, 3, 1, 80, 16) * 1.5
    assert_same_network(model(mel, peer_faces(shared, "wav2lip.face5", 1, 6, 3, 96, 96)), theirs)


def embeddings_of_wav2lip_expert(shared: Path) -> tuple[Tensor, Tensor]:
    """Of the peer's two windows of sound and faces, with its weights by formula."""
    model = filled(Wav2LipExpert(Wav2LipExpertConfig()), shared, "wav2lip_syncnet_color")
    mel = normal(shared, "wav2lip.sync.mel", 2, 1, 80, 16) * 1.5
    audio, face = model(mel, uniform(shared, "wav2lip.sync.face", 2, 15, 48, 96))
    return audio, face


@torch.no_grad()
def test_wav2lip_expert_is_the_peers(shared: Path) -> None:
    theirs = reference(shared, "wav2lip")
    audio_theirs, face_theirs = theirs["sync.audio"], theirs["sync.video"]
    audio, face = embeddings_of_wav2lip_expert(shared)
    assert_same_network(audio, audio_theirs)
    assert_same_network(face, face_theirs)


@torch.no_grad()
def test_loss_of_synchronisation_is_the_peers(shared: Path) -> None:
    theirs = reference(shared, "wav2lip")
    cos, loss = theirs["sync.cos"], theirs["sync.bce_y1"]
    audio, face = embeddings_of_wav2lip_expert(shared)
    assert_close(cosines(audio, face).numpy(), cos.reshape(2), 1e-5)
    assert_close(sync_loss(audio=audio, face=face).numpy(), loss.reshape(()), 1e-5)


@torch.no_grad()
def test_talklip_is_the_peers(shared: Path) -> None:
    theirs = reference(shared, "talklip")
    encoder = AVHubertConfig(d_model=64, n_layers=2, d_ffn=128, n_heads=4)
    model = filled(
        TalkLipGenerator(GeneratorConfig(), encoder), shared, "talklip_small", ("mask_emb", "label_embs_concat")
    )
    audio = normal(shared, "talklip.audio", 2, 104, 10).transpose(1, 2)
    padding = torch.zeros(2, 10, dtype=torch.bool)
    padding[1, 7:] = True
    frame_index = torch.from_numpy(theirs["gen.idAudio"])
    generated, picked = model(audio, padding, peer_faces(shared, "talklip.face", 7, 6, 96, 96), frame_index)
    assert_same_network(model.audio_encoder(audio, padding).transpose(0, 1), theirs["gen.audio_embedding"])
    assert_same_network(model.audio_map(picked), theirs["gen.audio_map"])
    assert_same_network(generated.mean((2, 3)), theirs["gen.out_mean"])
    assert_same_network(generated[[0, 4]], theirs["gen.out"])


@pytest.mark.parametrize(
    ("file", "keys", "name", "shape"),
    [
        ("wav2lip", "wav2lip_disc_qual", "wav2lip.disc.face", (2, 3, 5, 96, 96)),
        ("talklip", "talklip_disc_qual", "talklip.disc", (4, 3, 96, 96)),
    ],
)
@torch.no_grad()
def test_discriminator_is_the_peers(shared: Path, file: str, keys: str, name: str, shape: tuple[int, ...]) -> None:
    theirs = reference(shared, file)
    model = filled(FaceDiscriminator(DiscriminatorConfig()), shared, keys)
    faces = uniform(shared, name, *shape)
    probability = model(faces)
    assert_close(probability.numpy(), theirs["disc.pred"], 1e-6)
    assert_close(generator_loss(fake=probability, form="bce").numpy(), theirs["disc.perceptual"], 1e-6)


@torch.no_grad()
def test_features_of_the_discriminator_are_the_peers(shared: Path) -> None:
    theirs = reference(shared, "talklip")
    model = filled(FaceDiscriminator(DiscriminatorConfig()), shared, "talklip_disc_qual")
    x = uniform(shared, "talklip.disc", 4, 3, 96, 96)[:, :, 48:]
    for level, block in enumerate(model.face_encoder_blocks):
        x = block(x)
        assert_same_network(x.mean((2, 3)), theirs[f"disc.feat{level}_mean"])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: Wav2LipGenerator(Wav2LipConfig()), 36_298_035),
        (lambda: Wav2LipExpert(Wav2LipExpertConfig()), 16_435_072),
        (lambda: FaceDiscriminator(DiscriminatorConfig()), 14_113_793),
    ],
    ids=["wav2lip", "syncnet", "discriminator"],
)
def test_parameters_of_the_released_sizes(build: object, expected: int) -> None:
    with torch.device("meta"):
        model = build()
    assert sum(p.numel() for p in model.parameters()) == expected


def test_image_part_for_large_has_the_released_size() -> None:
    with torch.device("meta"):
        model = TalkLipGenerator(GeneratorConfig(), AVHubertConfig())
    image_part = [p for name, p in model.named_parameters() if not name.startswith("audio_encoder")]
    assert sum(p.numel() for p in image_part) == 35_059_763


@torch.no_grad()
def test_small_sizes() -> None:
    torch.manual_seed(0)
    model = TalkLipGenerator(SMALL, SMALL_ENCODER).eval()
    assert SMALL.face_size == 48
    generated, picked = model(torch.randn(2, 5, 104), None, torch.rand(3, 6, 48, 48), torch.tensor([0, 4, 7]))
    assert generated.shape == (3, 3, 48, 48)
    assert picked.shape == (3, 32)
    assert 0 < generated.min() < generated.max() < 1


@torch.no_grad()
def test_channels_last_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Wav2LipGenerator(Wav2LipConfig(image=SMALL, mel_widths=(4, 4, 4, 4))).eval()
    mel, faces = torch.rand(2, 1, 80, 16), torch.rand(2, 6, 48, 48)
    expected = model(mel, faces)
    last = model.to(memory_format=torch.channels_last)(mel, faces.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected)


def test_five_axes_are_the_frames_one_by_one() -> None:
    torch.manual_seed(0)
    model = Wav2LipGenerator(Wav2LipConfig(image=SMALL, mel_widths=(4, 4, 4, 4))).eval()
    mel, faces = torch.rand(2, 3, 1, 80, 16), torch.rand(2, 6, 3, 48, 48)
    whole = model(mel, faces)
    assert whole.shape == (2, 3, 3, 48, 48)
    torch.testing.assert_close(whole[1, :, 2], model(mel[1, 2:3], faces[1:2, :, 2])[0])


def test_discriminator_sees_the_lower_half_only_and_frames_first() -> None:
    torch.manual_seed(0)
    model = FaceDiscriminator(DiscriminatorConfig(widths=(4, 4, 4, 4, 4, 4))).eval()
    faces = torch.rand(2, 3, 3, 48, 48)
    logits = model.logits(faces)
    assert logits.shape == (6, 1)
    torch.testing.assert_close(logits[2 * 2 + 1], model.logits(faces[1:, :, 2])[0])
    changed = faces.clone()
    changed[..., :24, :] = 0
    torch.testing.assert_close(model.logits(changed), logits)
    torch.testing.assert_close(model(faces), logits.sigmoid())


def test_picked_frames_by_hand() -> None:
    rows = torch.arange(6).view(2, 3, 1)
    assert gather_frames(rows, torch.tensor([5, 0, 3])).tolist() == [[5], [0], [3]]


@pytest.mark.parametrize("name", ["a", "v"])
def test_picked_frames_are_the_peers(shared: Path, name: str) -> None:
    theirs = reference(shared, "talklip")
    picked = [rows for key, rows in theirs.arrays.items() if key.startswith("local_sync.picked_")]
    if not picked:
        pytest.skip("talklip: local_sync.picked_* are kept aside")
    rows = normal(shared, f"talklip.ls.{name}", 10, 2, 8).transpose(0, 1)
    ours = gather_frames(rows, torch.from_numpy(theirs["gen.idAudio"]))
    assert any(np.array_equal(ours.numpy(), expected) for expected in picked)


def test_contrastive_head_gives_unit_rows_of_any_input_length() -> None:
    torch.manual_seed(0)
    head = SyncHead(8)
    audio = torch.randn(4, 8)
    torch.testing.assert_close(head(audio).norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(head(audio * 7), head(audio))


def test_the_image_skip_begins_as_the_pose_above_and_the_reference_below() -> None:
    """Before it has learnt anything: the upper half of the pose, the lower half of the reference."""
    config = GeneratorConfig(
        encoder_widths=(4,) * 6, encoder_residuals=(0,) * 6, decoder_widths=(4,) * 6, decoder_residuals=(0,) * 6,
        output_width=4, d_audio=4, fold=2, image_skip=True,
    )  # fmt: skip
    generator = FaceGenerator(config).eval()
    torch.nn.init.zeros_(generator.output_block[1].bias)
    faces = torch.rand(2, 6, 96, 96) * 0.9 + 0.05
    made = generator.generate(torch.randn(2, 4, 1, 1), faces)
    torch.testing.assert_close(made[:, :, :48], faces[:, :3, :48], atol=1e-5, rtol=0)
    torch.testing.assert_close(made[:, :, 48:], faces[:, 3:, 48:], atol=1e-5, rtol=0)
