"""A small network of every kind, and what the checkpoint tests ask of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from synctalk.checkpoints import load
from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubert, AVHubertConfig
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.conformer import Conformer, ConformerConfig
from synctalk.models.discriminator import DiscriminatorConfig, FaceDiscriminator
from synctalk.models.generator import GeneratorConfig, TalkLipGenerator, Wav2LipConfig, Wav2LipGenerator
from synctalk.models.lip_reader import LipReader, LipReaderConfig
from synctalk.models.resnet import FrontEndConfig
from synctalk.models.syncnet import SyncNet, SyncNetConfig
from synctalk.models.synctalklip import SyncTalklip, SyncTalklipConfig
from synctalk.models.wav2lip_expert import Wav2LipExpert, Wav2LipExpertConfig

ENCODER = AVHubertConfig(
    d_model=32,
    n_layers=2,
    d_ffn=24,
    n_heads=8,
    pos_conv_kernel=8,
    pos_conv_groups=4,
    n_labels=12,
    d_label=8,
    front_end=FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 2)),
)
IMAGE = GeneratorConfig(
    encoder_widths=(4, 8, 8, 16, 16, 16),
    encoder_residuals=(0, 1, 2, 0, 0, 0),
    decoder_widths=(16, 16, 16, 8, 8, 4),
    decoder_residuals=(0, 1, 0, 2, 0, 1),
    output_width=8,
    d_audio=12,
)
SYNCNET = SyncNetConfig(in_channels=1, lip_widths=(4,) * 6, audio_widths=(3, 4, 5, 6, 7, 8), d_hidden=6, d_embedding=10)
CONFORMER = ConformerConfig(
    d_model=16,
    n_heads=2,
    d_ffn=12,
    n_layers=2,
    conv_kernel=7,
    n_decoder_layers=1,
    vocabulary=9,
    front_end=FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 2), activation="silu"),
)
READER = LipReaderConfig(encoder=ENCODER, vocabulary=14, n_layers=2, d_ffn=20, n_heads=2)

SMALL: dict[str, Callable[[], nn.Module]] = {
    "av_hubert": lambda: AVHubert(ENCODER),
    "av_hubert_seq2seq": lambda: LipReader(READER),
    "auto_avsr": lambda: Conformer(CONFORMER),
    "syncnet": lambda: SyncNet(SYNCNET),
    "wav2lip": lambda: Wav2LipGenerator(Wav2LipConfig(image=IMAGE, mel_widths=(4, 5, 6, 7))),
    "wav2lip_expert": lambda: Wav2LipExpert(
        Wav2LipExpertConfig(face_widths=(2, 3, 4, 5, 6), mel_widths=(4, 5, 6, 7), d_embedding=8)
    ),
    "wav2lip_disc": lambda: FaceDiscriminator(DiscriminatorConfig(widths=(2, 3, 4, 5, 6, 7))),
    "talklip": lambda: TalkLipGenerator(IMAGE, ENCODER),
    "talklip_disc": lambda: FaceDiscriminator(DiscriminatorConfig(widths=(2, 3, 4, 5, 6, 7))),
}
OURS: dict[str, Callable[[], nn.Module]] = {
    **SMALL,
    "av_syncnet": lambda: AVSyncNet(READER, AlignmentConfig(kind="conv", kernel=3)),
    "synctalklip": lambda: SyncTalklip(
        SyncTalklipConfig(image=IMAGE, discriminator=DiscriminatorConfig(), audio_detail=6), ENCODER
    ),
}
SPEECH_CFG = {"encoder_attention_heads": 8, "layer_norm_first": True}


def small(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return OURS[kind]()


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    assert not ours.training
    state, expected = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    for key, value in expected.items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=0)


def peer_content(kind: str, network: nn.Module) -> dict[str, Any]:
    """What a peer's file of this kind holds."""
    if kind.startswith("av_hubert"):
        model = {"_name": kind, "decoder_attention_heads": 2, "w2v_args": {"model": SPEECH_CFG}, **SPEECH_CFG}
        return {"args": None, "cfg": {"model": model}, "model": network.state_dict(), "extra_state": {"epoch": 2}}
    if kind in ("syncnet", "auto_avsr"):
        return dict(network.state_dict())
    return {"state_dict": network.state_dict(), "optimizer": {"state": {}}, "global_step": 3}


def saved_state(path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, path)
    return path


def refused(kind: str, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(kind, path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path))
    return message
