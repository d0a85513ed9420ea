"""Sizes of the peers' networks from the shapes of their weights, and from fairseq's configuration what shapes hide.

Each function takes a state dict without prefixes and gives the arguments of the network's constructor. A `KeyError`
means that the entry is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from synctalk.checkpoints.peers import PeerFile, State, count
from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.conformer import ConformerConfig
from synctalk.models.discriminator import DiscriminatorConfig
from synctalk.models.generator import GeneratorConfig, Wav2LipConfig
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.models.resnet import FrontEndConfig
from synctalk.models.syncnet import SyncNetConfig
from synctalk.models.wav2lip_expert import Wav2LipExpertConfig

Arguments = dict[str, Any]


def av_hubert_sizes(file: PeerFile) -> Arguments:
    """AV-HuBERT with its pre-training head."""
    return {"config": _av_hubert(file.state, "", file.cfg)}


def lip_reader_sizes(file: PeerFile) -> Arguments:
    """AV-HuBERT fine-tuned, with its decoder."""
    state, cfg = file.state, file.cfg
    pretraining = cfg.get("w2v_args") or {}
    vocabulary, d_model = state["decoder.embed_tokens.weight"].shape
    config = LipReaderConfig(
        encoder=_av_hubert(state, "encoder.w2v_model.", pretraining.get("model", pretraining)),
        vocabulary=vocabulary,
        n_layers=count(state, "decoder.layers.{}."),
        d_ffn=state["decoder.layers.0.fc1.weight"].shape[0],
        n_heads=cfg.get("decoder_attention_heads", 8 if d_model >= 1024 else 4),
        pre_norm="decoder.layer_norm.weight" in state,
        tied_output="decoder.embed_out" not in state,
    )
    return {"config": config}


def conformer_sizes(file: PeerFile) -> Arguments:
    """auto_avsr's video Conformer."""
    state = file.state
    vocabulary, d_model = state["decoder.embed.0.weight"].shape
    config = ConformerConfig(
        d_model=d_model,
        n_heads=state["encoder.encoders.0.self_attn.pos_bias_u"].shape[0],
        d_ffn=state["encoder.encoders.0.feed_forward.w_1.weight"].shape[0],
        n_layers=count(state, "encoder.encoders.{}."),
        conv_kernel=state["encoder.encoders.0.conv_module.depthwise_conv.weight"].shape[-1],
        n_decoder_layers=count(state, "decoder.decoders.{}."),
        vocabulary=vocabulary,
        front_end=front_end_sizes(state, "frontend."),
    )
    return {"config": config}


def talklip_sizes(file: PeerFile) -> Arguments:
    """TalkLip's generator and its audio encoder."""
    state = file.state
    encoder = _av_hubert(state, "audio_encoder.w2v_model.", file.cfg)
    return {"config": _generator(state), "encoder": encoder}


def wav2lip_sizes(file: PeerFile) -> Arguments:
    """Wav2Lip's generator."""
    mel = _conv_widths(file.state, "audio_encoder.{}.conv_block.0.weight")
    return {"config": Wav2LipConfig(image=_generator(file.state), mel_widths=(mel[0], mel[3], mel[6], mel[9]))}


def wav2lip_expert_sizes(file: PeerFile) -> Arguments:
    """Wav2Lip's lip-sync expert."""
    face = _conv_widths(file.state, "face_encoder.{}.conv_block.0.weight")
    mel = _conv_widths(file.state, "audio_encoder.{}.conv_block.0.weight")
    return {
        "config": Wav2LipExpertConfig(
            face_widths=(face[0], face[1], face[4], face[8], face[11]),
            mel_widths=(mel[0], mel[3], mel[6], mel[9]),
            d_embedding=face[14],
        )
    }


def discriminator_sizes(file: PeerFile) -> Arguments:
    """The quality discriminator."""
    widths = _conv_widths(file.state, "face_encoder_blocks.{}.0.conv_block.0.weight")
    return {"config": DiscriminatorConfig(widths=tuple(widths))}


def syncnet_sizes(file: PeerFile) -> Arguments:
    """SyncNet for images of 224 pixels, the released size: weights of other sizes do not tell it."""
    state = file.state
    lips, audio = (
        [state[f"{tower}.{index}.weight"].shape[0] for index in (0, 4, 8, 11, 14, 18)]
        for tower in ("netcnnlip", "netcnnaud")
    )
    config = SyncNetConfig(
        in_channels=state["netcnnlip.0.weight"].shape[1],
        lip_widths=(lips[0], lips[1], lips[2], lips[3], lips[4], lips[5]),
        audio_widths=(audio[0], audio[1], audio[2], audio[3], audio[4], audio[5]),
        d_hidden=state["netfcaud.0.weight"].shape[0],
        d_embedding=state["netfcaud.3.weight"].shape[0],
    )
    return {"config": config}


def _av_hubert(state: State, prefix: str, cfg: Mapping[str, Any]) -> AVHubertConfig:
    """A file that does not say its heads has 64 features in each, but 4 heads at least (as Base and Large)."""

    def shape(name: str) -> torch.Size:
        return state[prefix + name].shape

    d_model, d_audio = shape("feature_extractor_audio.proj.weight")
    _, per_group, kernel = shape("encoder.pos_conv.0.weight_v")
    n_labels, d_label = shape("label_embs_concat") if f"{prefix}label_embs_concat" in state else (2004, 256)
    feature_mask = f"{prefix}mask_emb" in state and shape("mask_emb")[0] == d_model != d_audio
    return AVHubertConfig(
        d_model=d_model,
        n_layers=count(state, f"{prefix}encoder.layers.{{}}."),
        d_ffn=shape("encoder.layers.0.fc1.weight")[0],
        n_heads=cfg.get("encoder_attention_heads", max(4, d_model // 64)),
        layer_norm_first=cfg.get("layer_norm_first", True),
        fusion="concat" if shape("layer_norm.weight")[0] == 2 * d_model else "add",
        pos_conv_kernel=kernel,
        pos_conv_groups=d_model // per_group,
        d_audio=d_audio,
        front_end=front_end_sizes(state, f"{prefix}feature_extractor_video.resnet."),
        n_labels=n_labels,
        d_label=d_label,
        masking="feature" if feature_mask else "input",
    )


def front_end_sizes(state: State, prefix: str) -> FrontEndConfig:
    """The video front end, from the keys after `prefix`."""
    stages = range(1, count(state, f"{prefix}trunk.layer{{}}."))
    return FrontEndConfig(
        stem_width=state[f"{prefix}frontend3D.0.weight"].shape[0],
        widths=tuple(state[f"{prefix}trunk.layer{stage}.0.conv1.weight"].shape[0] for stage in stages),
        blocks=tuple(count(state, f"{prefix}trunk.layer{stage}.{{}}.") for stage in stages),
        activation="prelu" if f"{prefix}trunk.layer1.0.relu1.weight" in state else "silu",
    )


def _generator(state: State) -> GeneratorConfig:
    encoder = _conv_widths(state, "face_encoder_blocks.{}.0.conv_block.0.weight")
    decoder = [state[f"face_decoder_blocks.{level}.0.conv_block.0.weight"].shape for level in range(len(encoder))]
    blocks = [
        [count(state, f"face_{tower}_blocks.{level}.{{}}.") - 1 for level in range(len(encoder))]
        for tower in ("encoder", "decoder")
    ]
    return GeneratorConfig(
        encoder_widths=tuple(encoder),
        encoder_residuals=(*blocks[0][:-1], 0),
        decoder_widths=(decoder[0][0], *(shape[1] for shape in decoder[1:])),
        decoder_residuals=tuple(blocks[1]),
        output_width=state["output_block.1.weight"].shape[1],
        d_audio=decoder[0][1],
    )


def _conv_widths(state: State, pattern: str) -> list[int]:
    """Output channels of the weights at `pattern` with 0, 1, 2, ... for `{}`."""
    return [state[pattern.format(index)].shape[0] for index in range(count(state, pattern))]
