"""The Conformer lip reader (Ma et al. 2021, fig. 1; judge of WER3 in paper tables 3 and 4): encoder, CTC and decoder.

Legend: B clips, T frames, S tokens, D width, H heads, V vocabulary, K hypotheses. Key names as in mpc001/auto_avsr
@182b628, misspelt `pointwise_cov` included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.models.resnet import FrontEndConfig, VideoFrontEnd
from synctalk.params.section import section

BLANK = 0
KeysValues = tuple[Tensor, Tensor]


@section
class ConformerConfig:
    """Sizes of the Conformer; the defaults are auto_avsr's video model (250 M parameters)."""

    d_model: int = 768
    n_heads: int = 12
    d_ffn: int = 3072
    n_layers: int = 12
    conv_kernel: int = 31
    n_decoder_layers: int = 6
    vocabulary: int = 5049
    """Blank, word pieces, and last the symbol that starts and ends a sentence."""
    dropout: float = 0.1
    front_end: FrontEndConfig = FrontEndConfig(activation="silu")

    @property
    def eos(self) -> int:
        """Starts and ends a sentence."""
        return self.vocabulary - 1


@dataclass(frozen=True)
class ConformerOutput:
    """Outcome of teacher forcing.

    Attributes:
        logits: [B, S, V], for the token that follows each input token.
        encoder_out: [B, T, D].
        ctc_log_probs: [B, T, V].
    """

    logits: Tensor
    encoder_out: Tensor
    ctc_log_probs: Tensor


def position_waves(positions: Tensor, d_model: int) -> Tensor:
    """Sine and cosine in turns of float positions [T], also below 0 -> [T, D]."""
    steps = torch.arange(0, d_model, 2, device=positions.device, dtype=torch.float32)
    angles = positions[:, None] * torch.exp(steps * -(math.log(10_000) / d_model))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def relative_positions(n_frames: int, d_model: int, device: torch.device) -> Tensor:
    """Encodings of the distances T-1, ..., 0, ..., -(T-1), [2T-1, D]."""
    return position_waves(torch.arange(n_frames - 1, -n_frames, -1.0, device=device), d_model)


def layer_norm(d_model: int) -> nn.LayerNorm:
    """The peer's layer norm: its epsilon is far under PyTorch's."""
    return nn.LayerNorm(d_model, eps=1e-12)


class HeadAttention(nn.Module):
    """Multi-head attention; keys and values are made apart, so that a decoder may keep them."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"{n_heads} heads do not divide the width {d_model}")
        self.n_heads = n_heads
        self.dropout = dropout
        self.linear_q = nn.Linear(d_model, d_model)
        self.linear_k = nn.Linear(d_model, d_model)
        self.linear_v = nn.Linear(d_model, d_model)
        self.linear_out = nn.Linear(d_model, d_model)

    def split_heads(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, H, T, D/H]."""
        return torch.unflatten(x, -1, (self.n_heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> KeysValues:
        """Memory [B, T, D] -> keys and values, each [B, H, T, D/H]."""
        return self.split_heads(self.linear_k(memory)), self.split_heads(self.linear_v(memory))

    def mix(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Query heads [B, H, S, D/H] over keys and values [B, H, T, D/H] -> [B, S, D]."""
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(query, keys, values, mask, dropout, is_causal=causal)
        out: Tensor = self.linear_out(x.transpose(1, 2).flatten(2))
        return out

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, attend: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Query [B, S, D] -> [B, S, D]; `attend` [B, 1, 1, T] is true to see."""
        return self.mix(self.split_heads(self.linear_q(query)), keys, values, attend, causal=causal)


class RelativeAttention(HeadAttention):
    """Self-attention that adds a score for the distance of two frames (Dai et al. 2019, §3.3)."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__(d_model, n_heads, dropout)
        self.linear_pos = nn.Linear(d_model, d_model, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(n_heads, d_model // n_heads))
        self.pos_bias_v = nn.Parameter(torch.empty(n_heads, d_model // n_heads))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def look(self, x: Tensor, positions: Tensor, attend: Tensor | None) -> Tensor:
        """Frames [B, T, D] and `relative_positions` [2T-1, D] -> [B, T, D]; `attend` [B, 1, 1, T]."""
        query = self.split_heads(self.linear_q(x))
        distances = self.split_heads(self.linear_pos(positions)[None])
        scores = (query + self.pos_bias_v[:, None]) @ distances.transpose(-1, -2)
        bias = self._by_key(scores) / query.shape[-1] ** 0.5
        if attend is not None:
            bias = bias.masked_fill(~attend, float("-inf"))
        return self.mix(query + self.pos_bias_u[:, None], *self.keys_values(x), bias)

    @staticmethod
    def _by_key(scores: Tensor) -> Tensor:
        """Scores by distance [B, H, T, 2T-1] -> by key [B, H, T, T]: row t moves left by T-1-t."""
        n = scores.shape[2]
        index = torch.arange(n, device=scores.device)
        return scores.gather(3, (n - 1 - index[:, None] + index).expand(*scores.shape[:2], n, n))


class FeedForward(nn.Module):
    """Two linear layers and a ReLU."""

    def __init__(self, d_model: int, d_ffn: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.w_1 = nn.Linear(d_model, d_ffn)
        self.w_2 = nn.Linear(d_ffn, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        out: Tensor = self.w_2(F.dropout(F.relu(self.w_1(x)), self.dropout, self.training))
        return out


class ConvolutionModule(nn.Module):
    """Gated pointwise convolution, depthwise convolution over time, batch norm, SiLU, pointwise convolution."""

    def __init__(self, d_model: int, kernel: int) -> None:
        super().__init__()
        self.pointwise_cov1 = nn.Conv1d(d_model, 2 * d_model, 1)
        self.depthwise_conv = nn.Conv1d(d_model, d_model, kernel, padding=kernel // 2, groups=d_model)
        self.norm = nn.BatchNorm1d(d_model)
        self.pointwise_cov2 = nn.Conv1d(d_model, d_model, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        y = F.glu(self.pointwise_cov1(x.transpose(1, 2)), dim=1)
        y = self.pointwise_cov2(F.silu(self.norm(self.depthwise_conv(y))))
        out: Tensor = y.transpose(1, 2)
        return out


class ConformerLayer(nn.Module):
    """Half a feed-forward, self-attention, convolution, the other half (Gulati et al. 2020, fig. 1)."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        d_model = config.d_model
        self.dropout = config.dropout
        self.self_attn = RelativeAttention(d_model, config.n_heads, config.dropout)
        self.feed_forward = FeedForward(d_model, config.d_ffn, config.dropout)
        self.feed_forward_macaron = FeedForward(d_model, config.d_ffn, config.dropout)
        self.conv_module = ConvolutionModule(d_model, config.conv_kernel)
        self.norm_ff = layer_norm(d_model)
        self.norm_mha = layer_norm(d_model)
        self.norm_ff_macaron = layer_norm(d_model)
        self.norm_conv = layer_norm(d_model)
        self.norm_final = layer_norm(d_model)

    def forward(self, x: Tensor, positions: Tensor, attend: Tensor | None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + 0.5 * self._drop(self.feed_forward_macaron(self.norm_ff_macaron(x)))
        x = x + self._drop(self.self_attn.look(self.norm_mha(x), positions, attend))
        x = x + self._drop(self.conv_module(self.norm_conv(x)))
        x = x + 0.5 * self._drop(self.feed_forward(self.norm_ff(x)))
        out: Tensor = self.norm_final(x)
        return out

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class ConformerEncoder(nn.Module):
    """The layers and a last norm."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleList(ConformerLayer(config) for _ in range(config.n_layers))
        self.after_norm = layer_norm(config.d_model)

    def forward(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        config = self.config
        attend = None if padding_mask is None else ~padding_mask[:, None, None]
        positions = relative_positions(x.shape[1], config.d_model, x.device).to(x.dtype)
        x = F.dropout(x * config.d_model**0.5, config.dropout, self.training)
        positions = F.dropout(positions, config.dropout, self.training)
        for layer in self.encoders:
            x = layer(x, positions, attend)
        out: Tensor = self.after_norm(x)
        return out


class ConformerDecoderLayer(nn.Module):
    """Causal self-attention, attention over the encoder's output, feed-forward; norms come first."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.self_attn = HeadAttention(config.d_model, config.n_heads, config.dropout)
        self.src_attn = HeadAttention(config.d_model, config.n_heads, config.dropout)
        self.feed_forward = FeedForward(config.d_model, config.d_ffn, config.dropout)
        self.norm1 = layer_norm(config.d_model)
        self.norm2 = layer_norm(config.d_model)
        self.norm3 = layer_norm(config.d_model)

    def forward(self, x: Tensor, memory: KeysValues, attend: Tensor | None) -> Tensor:
        """All positions at once, [B, S, D] -> [B, S, D]."""
        own = self.self_attn
        x = self._add(x, self.norm1, lambda y: own(y, *own.keys_values(y), causal=True))
        x = self._add(x, self.norm2, lambda y: self.src_attn(y, *memory, attend))
        return self._add(x, self.norm3, self.feed_forward)

    def step(self, x: Tensor, memory: KeysValues, past: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """One position of K hypotheses of one clip, [1, K, D]; `past` keys and values are [K, H, S, D/H]."""
        row = self.norm1(x)[0][:, None]
        keys, values = self.self_attn.keys_values(row)
        if past is not None:
            keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
        x = x + self.self_attn(row, keys, values)[:, 0][None]
        x = self._add(x, self.norm2, lambda y: self.src_attn(y, *memory))
        return self._add(x, self.norm3, self.feed_forward), (keys, values)

    def _add(self, x: Tensor, norm: nn.Module, branch: Callable[[Tensor], Tensor]) -> Tensor:
        return x + F.dropout(branch(norm(x)), self.dropout, self.training)


class ConformerDecoder(nn.Module):
    """Word pieces so far and the encoder's output to the next piece."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Sequential(nn.Embedding(config.vocabulary, config.d_model))
        self.decoders = nn.ModuleList(ConformerDecoderLayer(config) for _ in range(config.n_decoder_layers))
        self.after_norm = layer_norm(config.d_model)
        self.output_layer = nn.Linear(config.d_model, config.vocabulary)

    @property
    def stack(self) -> list[ConformerDecoderLayer]:
        """The layers, with their type."""
        return cast("list[ConformerDecoderLayer]", list(self.decoders))

    def remember(self, encoder_out: Tensor) -> list[KeysValues]:
        """Keys and values of the encoder's output for each layer."""
        return [layer.src_attn.keys_values(encoder_out) for layer in self.stack]

    def embed_tokens(self, tokens: Tensor, first_position: int) -> Tensor:
        """Tokens [B, S] at positions from `first_position` on -> [B, S, D]."""
        d_model = self.config.d_model
        positions = torch.arange(first_position, first_position + tokens.shape[1], 1.0, device=tokens.device)
        x = self.embed(tokens) * d_model**0.5
        return F.dropout(x + position_waves(positions, d_model).to(x.dtype), self.config.dropout, self.training)

    def forward(self, tokens: Tensor, encoder_out: Tensor, padding_mask: Tensor | None) -> Tensor:
        """All positions at once: tokens [B, S] -> logits [B, S, V]."""
        attend = None if padding_mask is None else ~padding_mask[:, None, None]
        x = self.embed_tokens(tokens, 0)
        for layer, memory in zip(self.stack, self.remember(encoder_out), strict=True):
            x = layer(x, memory, attend)
        logits: Tensor = self.output_layer(self.after_norm(x))
        return logits

    def step(
        self, tokens: Tensor, position: int, memories: list[KeysValues], past: list[KeysValues] | None
    ) -> tuple[Tensor, list[KeysValues]]:
        """The token at `position` of K hypotheses of one clip, [K] -> log-probabilities [K, V], and `past` grown."""
        x = self.embed_tokens(tokens[:, None], position).transpose(0, 1)
        grown = []
        for index, layer in enumerate(self.stack):
            x, kept = layer.step(x, memories[index], None if past is None else past[index])
            grown.append(kept)
        return self.output_layer(self.after_norm(x))[0].float().log_softmax(-1), grown


class CtcHead(nn.Module):
    """Linear CTC head."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.ctc_lo = nn.Linear(config.d_model, config.vocabulary)

    def forward(self, encoder_out: Tensor) -> Tensor:
        """[B, T, D] -> log-probabilities [B, T, V]."""
        logits: Tensor = self.ctc_lo(encoder_out)
        return logits.float().log_softmax(-1)


class Conformer(nn.Module):
    """Words from lips, trained on 0.1 CTC and 0.9 cross-entropy."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.frontend = VideoFrontEnd(config.front_end)
        self.proj_encoder = nn.Linear(config.front_end.widths[-1], config.d_model)
        self.encoder = ConformerEncoder(config)
        self.decoder = ConformerDecoder(config)
        self.ctc = CtcHead(config)

    def encode(self, video: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Standardised grey mouth crops [B, 1, T, H, W], or the front end's own output [B, T, C] -> [B, T, D].

        The convolutions over time see padding, as the peer's do: a clip comes out a little different in a batch of
        longer ones.
        """
        features = self.frontend(video) if video.dim() == 5 else video
        encoder_out: Tensor = self.encoder(self.proj_encoder(features), padding_mask)
        return encoder_out

    def forward(self, video: Tensor, padding_mask: Tensor | None, decoder_input_tokens: Tensor) -> ConformerOutput:
        """Teacher forcing. `decoder_input_tokens` int64 [B, S] start with `config.eos` and are padded with it."""
        encoder_out = self.encode(video, padding_mask)
        return ConformerOutput(
            logits=self.decoder(decoder_input_tokens, encoder_out, padding_mask),
            encoder_out=encoder_out,
            ctc_log_probs=self.ctc(encoder_out),
        )
