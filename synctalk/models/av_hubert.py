"""AV-HuBERT (Shi et al. 2022, fig. 1): one Transformer over lips and audio; the encoder of AV-SyncNet (paper fig. 2a).

Legend: B clips, T frames at 25 Hz, D width, H/W mouth crop, V cluster labels, a audio, v video.
Key names as in facebookresearch/av_hubert @258fb50, so that its weights load by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.models.masking import SpanMasks
from synctalk.models.resnet import FrontEndConfig, VideoFrontEnd
from synctalk.models.transformer import EncoderLayer, recomputed
from synctalk.params.section import section
from synctalk.timebase import STACKED_FBANK


@section
class AVHubertConfig:
    """Sizes and rates of AV-HuBERT; the defaults are Large, the encoder of SyncTalklip (paper §4.1)."""

    d_model: int = 1024
    n_layers: int = 24
    d_ffn: int = 4096
    n_heads: int = 16
    layer_norm_first: bool = True
    fusion: Literal["concat", "add"] = "concat"
    pos_conv_kernel: int = 128
    pos_conv_groups: int = 16
    d_audio: int = STACKED_FBANK
    front_end: FrontEndConfig = FrontEndConfig()

    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    fusion_dropout: float = 0.1
    layerdrop: float = 0.05
    """Probability that a layer is skipped in a training step."""
    modality_dropout: float = 0.5
    """Probability that a training batch loses one modality; then it is the audio with `audio_dropout`."""
    audio_dropout: float = 0.5
    feature_grad_mult: float = 0.1
    """Factor on the gradient that reaches the front ends; 1 for fine-tuning."""

    n_labels: int = 2004
    """Clusters and the four special symbols of the released dictionaries."""
    d_label: int = 256
    logit_temperature: float = 0.1
    masking: Literal["input", "feature"] = "input"
    """Where masks act: on the inputs (fifth iteration) or on the fused features (the four before)."""


BASE = AVHubertConfig(d_model=768, n_layers=12, d_ffn=3072, n_heads=12)


@dataclass(frozen=True)
class ClusterPrediction:
    """Outcome of the pre-training pass, from which eq. 3 is computed.

    Attributes:
        logits: [B, T, V], cosine similarity to each label over the temperature.
        masked: bool [B, T], the frames of M^a ∪ M^v that are not padding.
        unmasked: bool [B, T], the other frames that are not padding.
        feature_penalty: scalar, mean square of the fused features before their norm (weighed 10 in the release).
    """

    logits: Tensor
    masked: Tensor
    unmasked: Tensor
    feature_penalty: Tensor


class ModalityFeatures(nn.Module):
    """One modality's front end: `resnet` where the input is video, then `proj` to the width of the encoder.

    The output of `resnet` itself, [B, T, C], is taken as input too: a frozen front end is run once and its output kept.
    """

    def __init__(self, d_in: int, d_model: int, resnet: nn.Module | None = None) -> None:
        super().__init__()
        self.resnet = nn.Identity() if resnet is None else resnet
        self.proj = nn.Linear(d_in, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Audio [B, T, F], video [B, 1, T, H, W] or its features [B, T, C] -> [B, T, D]."""
        projected: Tensor = self.proj(self.resnet(x) if x.dim() == 5 else x)
        return projected


class PositionalConv(nn.Module):
    """Relative positions by a grouped convolution with weight norm; keeps the length (the last step of an even kernel
    is dropped)."""

    def __init__(self, d_model: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.groups = groups
        self.weight_g = nn.Parameter(torch.ones(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.empty(d_model, d_model // groups, kernel))
        self.bias = nn.Parameter(torch.zeros(d_model))
        nn.init.normal_(self.weight_v, std=(4.0 / (kernel * d_model)) ** 0.5)
        self.weight_g.data.copy_(self.weight_v.data.norm(dim=(0, 1), keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """[B, D, T] -> [B, D, T]."""
        weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        return F.conv1d(x, weight, self.bias, padding=self.kernel // 2, groups=self.groups)[..., : x.shape[-1]]


class Encoder(nn.Module):
    """Positional convolution and the Transformer layers.

    Attributes:
        recompute: whether training computes the layers again in the backward pass instead of keeping what they hold.
    """

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        self.pos_conv = nn.Sequential(
            PositionalConv(config.d_model, config.pos_conv_kernel, config.pos_conv_groups), nn.GELU()
        )
        self.layers = nn.ModuleList(
            EncoderLayer(
                config.d_model,
                config.d_ffn,
                config.n_heads,
                dropout=config.dropout,
                attention_dropout=config.attention_dropout,
                activation_dropout=config.activation_dropout,
                pre_norm=config.layer_norm_first,
            )
            for _ in range(config.n_layers)
        )
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, x: Tensor, padding_mask: Tensor | None, layer: int | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]; `layer` counts from 1 and asks for that layer's output, without the final norm."""
        config = self.config
        attend = None
        if padding_mask is not None:
            x = x.masked_fill(padding_mask[..., None], 0.0)
            attend = ~padding_mask[:, None, None]
        x = x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        if not config.layer_norm_first:
            x = self.layer_norm(x)
        x = F.dropout(x, config.dropout, self.training)
        for block in self.layers[:layer]:
            if not self.training or torch.rand(()) > config.layerdrop:
                x = recomputed(block, x, attend) if self.recompute else block(x, attend)
        return self.layer_norm(x) if config.layer_norm_first and layer is None else x


class AVHubert(nn.Module):
    """Audio-visual encoder, and with `pretraining` the head that predicts cluster labels."""

    def __init__(self, config: AVHubertConfig, *, pretraining: bool = True) -> None:
        super().__init__()
        self.config = config
        d_model, d_fused = config.d_model, config.d_model * (2 if config.fusion == "concat" else 1)
        if pretraining:
            self.mask_emb = nn.Parameter(torch.rand(config.d_audio if config.masking == "input" else d_model))
            self.label_embs_concat = nn.Parameter(torch.rand(config.n_labels, config.d_label))
        self.feature_extractor_audio = ModalityFeatures(config.d_audio, d_model)
        front_end = config.front_end
        self.feature_extractor_video = ModalityFeatures(front_end.widths[-1], d_model, VideoFrontEnd(front_end))
        self.post_extract_proj = nn.Linear(d_fused, d_model) if d_fused != d_model else nn.Identity()
        self.encoder = Encoder(config)
        self.layer_norm = nn.LayerNorm(d_fused)
        if pretraining:
            self.final_proj = nn.Linear(d_model, config.d_label)
        self.apply(_initialise)

    def backbone_state(self) -> dict[str, Tensor]:
        """State dict without the pre-training head: what a lip reader or a generator starts from."""
        head = ("mask_emb", "label_embs_concat", "final_proj")
        return {key: value for key, value in self.state_dict().items() if not key.startswith(head)}

    def extract(
        self,
        audio: Tensor | None,
        video: Tensor | None,
        padding_mask: Tensor | None = None,
        layer: int | None = None,
    ) -> Tensor:
        """Encode one or both modalities; a missing one counts as zeros after its projection.

        Args:
            audio: normalised log filterbank, float [B, T, 104].
            video: standardised grey mouth crops, float [B, 1, T, H, W], padded with zeros.
            padding_mask: bool [B, T], true = padding. Padding does not change real frames.
            layer: None for the encoder's output, or 1..n_layers for that layer's (the features that are clustered).

        Returns:
            [B, T, D]; padded frames carry values too.
        """
        fused = self.fuse(*self._project(audio, video))
        encoded: Tensor = self.encoder(self._to_encoder(fused), padding_mask, layer)
        return encoded

    def forward(
        self, audio: Tensor, video: Tensor, padding_mask: Tensor, masks: SpanMasks | None = None
    ) -> ClusterPrediction:
        """Pre-training pass over both modalities, with modality dropout in training; see `extract` for the inputs."""
        hidden = torch.zeros_like(padding_mask) if masks is None else masks.union
        if masks is not None and self.config.masking == "input":
            audio, video = self.mask_inputs(audio, video, masks)
        with_audio, with_video = self._kept_modalities()
        fused = self.fuse(*self._project(audio if with_audio else None, video if with_video else None))
        x = self._to_encoder(fused)
        if masks is not None and self.config.masking == "feature":
            x = torch.where(hidden[..., None], self.mask_emb.to(x.dtype), x)
        return ClusterPrediction(
            logits=self._label_logits(self.encoder(x, padding_mask)),
            masked=hidden & ~padding_mask,
            unmasked=~hidden & ~padding_mask,
            feature_penalty=fused.float().square().mean(),
        )

    def mask_inputs(self, audio: Tensor, video: Tensor, masks: SpanMasks) -> tuple[Tensor, Tensor]:
        """Masked audio rows become the mask embedding, masked frames another span of the same clip.

        The released code zeroes both where the batch has one clip; here one clip is treated as any other.
        """
        audio = torch.where(masks.audio[..., None], self.mask_emb.to(audio.dtype), audio)
        shown = masks.shown_frames[:, None, :, None, None].expand_as(video)
        return audio, video.gather(2, shown)

    def fuse(self, audio: Tensor, video: Tensor) -> Tensor:
        """Projected audio and video, each [B, T, D] -> [B, T, 2D] (audio first) or their sum [B, T, D]."""
        return torch.cat([audio, video], dim=-1) if self.config.fusion == "concat" else audio + video

    def _project(self, audio: Tensor | None, video: Tensor | None) -> tuple[Tensor, Tensor]:
        if audio is None and video is None:
            raise ValueError("audio and video are both missing")
        a = None if audio is None else self._scale_gradient(self.feature_extractor_audio(audio))
        v = None if video is None else self._scale_gradient(self.feature_extractor_video(video))
        if a is None:
            assert v is not None
            return torch.zeros_like(v), v
        return a, torch.zeros_like(a) if v is None else v

    def _scale_gradient(self, x: Tensor) -> Tensor:
        share = self.config.feature_grad_mult
        if share == 1.0 or not x.requires_grad:
            return x
        return x * share + x.detach() * (1.0 - share)

    def _kept_modalities(self) -> tuple[bool, bool]:
        """Whether audio and video are kept: one draw a batch, in training. What is dropped is not computed."""
        if not self.training or torch.rand(()) >= self.config.modality_dropout:
            return True, True
        audio_dropped = bool(torch.rand(()) < self.config.audio_dropout)
        return not audio_dropped, audio_dropped

    def _to_encoder(self, fused: Tensor) -> Tensor:
        x = self.post_extract_proj(self.layer_norm(fused))
        return F.dropout(x, self.config.fusion_dropout, self.training)

    def _label_logits(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, V]: cosine between the projected frame and each label, over the temperature."""
        frames = F.normalize(self.final_proj(x), dim=-1)
        labels = F.normalize(self.label_embs_concat, dim=-1)
        return frames @ labels.T / self.config.logit_temperature


def _initialise(module: nn.Module) -> None:
    """BERT's initial values for linear layers, as fairseq's Transformer encoder."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
