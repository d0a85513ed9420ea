"""The kinds of weights: which network, made of which sections, and how a file of that kind is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from synctalk.checkpoints import sizes
from synctalk.checkpoints.peers import PeerFile
from synctalk.models.av_hubert import AVHubert, AVHubertConfig
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.conformer import Conformer, ConformerConfig
from synctalk.models.discriminator import DiscriminatorConfig, FaceDiscriminator
from synctalk.models.generator import GeneratorConfig, TalkLipGenerator, Wav2LipConfig, Wav2LipGenerator
from synctalk.models.lip_reader import LipReader, LipReaderConfig
from synctalk.models.syncnet import SyncNet, SyncNetConfig
from synctalk.models.synctalklip import SyncTalklip, SyncTalklipConfig
from synctalk.models.wav2lip_expert import Wav2LipExpert, Wav2LipExpertConfig

ENCODER_LEFTOVERS = ("mask_emb", "label_embs_concat", "final_proj.")
"""Entries of AV-HuBERT's pre-training head, which stay behind in fine-tuned files."""


def _config(network: Any) -> dict[str, Any]:  # noqa: ANN401 - any network of one section
    return {"config": network.config}


def _config_and_encoder(network: TalkLipGenerator) -> dict[str, Any]:
    return {"config": network.config, "encoder": network.audio_encoder.w2v_model.config}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of weights.

    Attributes:
        network: its class.
        configs: sections that its constructor takes, by argument.
        describe: those sections of a network that was made of them.
        sizes: the same arguments from a peer's file; None where no peer has such a network.
        marks: beginnings of keys that a peer's file of this kind has, all of them.
        renames: beginnings of keys in older files of the peer, and ours.
        leftovers: beginnings of keys that its network does not have.
    """

    network: type[nn.Module]
    configs: Mapping[str, type[Any]]
    describe: Callable[[Any], dict[str, Any]] = _config
    sizes: Callable[[PeerFile], dict[str, Any]] | None = None
    marks: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    leftovers: tuple[str, ...] = ()


DISCRIMINATOR = Kind(
    network=FaceDiscriminator,
    configs={"config": DiscriminatorConfig},
    sizes=sizes.discriminator_sizes,
    marks=("binary_pred.",),
)

KINDS: dict[str, Kind] = {
    "av_hubert": Kind(
        network=AVHubert,
        configs={"config": AVHubertConfig},
        sizes=sizes.av_hubert_sizes,
        marks=("feature_extractor_video.",),
    ),
    "av_hubert_seq2seq": Kind(
        network=LipReader,
        configs={"config": LipReaderConfig},
        sizes=sizes.lip_reader_sizes,
        marks=("encoder.w2v_model.", "decoder."),
        leftovers=(
            *(f"encoder.w2v_model.{name}" for name in ENCODER_LEFTOVERS),
            "decoder.embed_positions._float_tensor",
        ),
    ),
    "auto_avsr": Kind(
        network=Conformer,
        configs={"config": ConformerConfig},
        sizes=sizes.conformer_sizes,
        marks=("ctc.ctc_lo.",),
        renames=(("encoder.frontend.", "frontend."), ("encoder.embed.0.", "proj_encoder.")),
    ),
    "syncnet": Kind(
        network=SyncNet,
        configs={"config": SyncNetConfig},
        sizes=sizes.syncnet_sizes,
        marks=("netcnnaud.", "netcnnlip."),
    ),
    "wav2lip": Kind(
        network=Wav2LipGenerator,
        configs={"config": Wav2LipConfig},
        sizes=sizes.wav2lip_sizes,
        marks=("face_decoder_blocks.", "audio_encoder.0."),
    ),
    "wav2lip_expert": Kind(
        network=Wav2LipExpert,
        configs={"config": Wav2LipExpertConfig},
        sizes=sizes.wav2lip_expert_sizes,
        marks=("face_encoder.",),
    ),
    "wav2lip_disc": DISCRIMINATOR,
    "talklip": Kind(
        network=TalkLipGenerator,
        configs={"config": GeneratorConfig, "encoder": AVHubertConfig},
        describe=_config_and_encoder,
        sizes=sizes.talklip_sizes,
        marks=("face_decoder_blocks.", "audio_encoder.w2v_model."),
        leftovers=tuple(f"audio_encoder.w2v_model.{name}" for name in ENCODER_LEFTOVERS),
    ),
    "talklip_disc": DISCRIMINATOR,
    "av_syncnet": Kind(
        network=AVSyncNet,
        configs={"config": LipReaderConfig, "alignment": AlignmentConfig},
        describe=lambda network: {"config": network.config, "alignment": network.alignment},
    ),
    "synctalklip": Kind(
        network=SyncTalklip,
        configs={"config": SyncTalklipConfig, "encoder": AVHubertConfig},
        describe=lambda network: {"config": network.sizes, "encoder": network.audio_encoder.w2v_model.config},
    ),
}
"""The peers' kinds, and the two that are trained here only."""
