"""The lip reader (paper fig. 2a and eq. 4; Shi et al. 2022): AV-HuBERT and a Transformer decoder over word pieces.

Legend: B clips, T frames, S tokens, D width, V vocabulary, K hypotheses a clip.
Key names as in facebookresearch/av_hubert @258fb50 with fairseq @afc77bdf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.models.av_hubert import AVHubert, AVHubertConfig
from synctalk.models.transformer import DecoderLayer
from synctalk.params.section import section

BOS, PAD, EOS, UNK = 0, 1, 2, 3
"""The special pieces of the AV-HuBERT recipe's SentencePiece model."""

KeysValues = tuple[Tensor, Tensor]


@section
class LipReaderConfig:
    """Sizes of the lip reader; the defaults are AV-HuBERT Large fine-tuned (477 M parameters)."""

    encoder: AVHubertConfig = AVHubertConfig(layerdrop=0.1, activation_dropout=0.1, feature_grad_mult=1.0)
    vocabulary: int = 1000
    n_layers: int = 9
    d_ffn: int = 4096
    n_heads: int = 8
    pre_norm: bool = True
    tied_output: bool = True
    """One matrix for the embedding and the output."""
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.1
    ctc_head: bool = False
    """A linear CTC head on the encoder, which a decoder trained on little data needs; the peers have none."""


@dataclass(frozen=True)
class LipReading:
    """Outcome of teacher forcing.

    Attributes:
        logits: [B, S, V], for the token that follows each input token.
        encoder_out: [B, T, D].
        attention: [B, S, T], the last layer's over the frames, mean of the heads; None unless asked for.
        ctc_logits: [B, T, V], or None without the head.
    """

    logits: Tensor
    encoder_out: Tensor
    attention: Tensor | None
    ctc_logits: Tensor | None


def sinusoids(positions: Tensor, d_model: int) -> Tensor:
    """Sines then cosines of int positions [...] -> float32 [..., D], as fairseq; the padding position has zeros."""
    half = d_model // 2
    steps = torch.arange(half, device=positions.device, dtype=torch.float32)
    angles = positions[..., None] * torch.exp(steps * -(math.log(10_000) / (half - 1)))
    table = F.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, d_model % 2))
    return table * (positions != PAD)[..., None]


def token_positions(tokens: Tensor) -> Tensor:
    """Positions of int tokens [B, S], counted from PAD + 1 over those that are not padding; padding has PAD."""
    real = tokens != PAD
    return real.cumsum(1) * real + PAD


class Decoder(nn.Module):
    """Word pieces so far and the encoder's output to the next piece; the embedding is not scaled."""

    def __init__(self, config: LipReaderConfig) -> None:
        super().__init__()
        self.config = config
        d_model = config.encoder.d_model
        self.embed_tokens = nn.Embedding(config.vocabulary, d_model, padding_idx=PAD)
        nn.init.normal_(self.embed_tokens.weight, std=d_model**-0.5)
        nn.init.zeros_(self.embed_tokens.weight[PAD])
        if not config.tied_output:
            self.embed_out = nn.Parameter(torch.randn(config.vocabulary, d_model) * d_model**-0.5)
        self.layers = nn.ModuleList(
            DecoderLayer(
                d_model,
                config.d_ffn,
                config.n_heads,
                dropout=config.dropout,
                attention_dropout=config.attention_dropout,
                activation_dropout=config.activation_dropout,
                pre_norm=config.pre_norm,
            )
            for _ in range(config.n_layers)
        )
        self.layer_norm = nn.LayerNorm(d_model) if config.pre_norm else nn.Identity()

    @property
    def stack(self) -> list[DecoderLayer]:
        """The layers, with their type."""
        return cast("list[DecoderLayer]", list(self.layers))

    def remember(self, encoder_out: Tensor) -> list[KeysValues]:
        """Keys and values of the encoder's output for each layer."""
        return [layer.encoder_attn.keys_values(encoder_out) for layer in self.stack]

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Tokens and positions [B, S] -> [B, S, D]."""
        embedded = self.embed_tokens(tokens)
        positional = sinusoids(positions, embedded.shape[-1]).to(embedded.dtype)
        return F.dropout(embedded + positional, self.config.dropout, self.training)

    def output(self, x: Tensor) -> Tensor:
        """[B, S, D] -> logits [B, S, V]."""
        weight = self.embed_tokens.weight if self.config.tied_output else self.embed_out
        return F.linear(self.layer_norm(x), weight)

    def forward(
        self, tokens: Tensor, encoder_out: Tensor, padding_mask: Tensor | None, *, with_attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """All positions at once: logits [B, S, V], and the last layer's attention [B, S, T] if asked for."""
        attend_memory = None if padding_mask is None else ~padding_mask[:, None, None]
        x = self.embed(tokens, token_positions(tokens))
        attention = None
        for layer, memory in zip(self.stack, self.remember(encoder_out), strict=True):
            if with_attention and layer is self.stack[-1]:
                attention = layer.memory_weights(x, memory, attend_memory)
            x = layer(x, memory, attend_memory)
        return self.output(x), attention

    def step(
        self,
        tokens: Tensor,
        position: int,
        memories: list[KeysValues],
        attend_memory: Tensor | None,
        past: list[KeysValues] | None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """The token at `position` (from 0) of K hypotheses a clip, [B, K] -> logits [B, K, V], and `past` grown.

        `memories` are from `remember`; `past` has keys and values [B·K, H, S, D/H] for each layer, None at first.
        """
        x = self.embed(tokens, torch.full_like(tokens, position + PAD + 1))
        grown = []
        for index, layer in enumerate(self.stack):
            x, kept = layer.step(x, memories[index], attend_memory, None if past is None else past[index])
            grown.append(kept)
        return self.output(x), grown


class LipEncoder(nn.Module):
    """AV-HuBERT without its pre-training head; the outer name is the released one."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.w2v_model = AVHubert(config, pretraining=False)

    def forward(self, audio: Tensor | None, video: Tensor | None, padding_mask: Tensor | None) -> Tensor:
        """See `AVHubert.extract`."""
        return self.w2v_model.extract(audio, video, padding_mask)


class LipReader(nn.Module):
    """Words from lips, from audio, or from both."""

    def __init__(self, config: LipReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = LipEncoder(config.encoder)
        self.decoder = Decoder(config)
        if config.ctc_head:
            self.ctc = nn.Linear(config.encoder.d_model, config.vocabulary)

    def encode(self, audio: Tensor | None, video: Tensor | None, padding_mask: Tensor | None = None) -> Tensor:
        """One or both modalities to [B, T, D]; see `AVHubert.extract` for the inputs."""
        encoder_out: Tensor = self.encoder(audio, video, padding_mask)
        return encoder_out

    def forward(
        self,
        audio: Tensor | None,
        video: Tensor | None,
        padding_mask: Tensor | None,
        decoder_input_tokens: Tensor,
        *,
        with_attention: bool = False,
    ) -> LipReading:
        """Teacher forcing. `decoder_input_tokens` int64 [B, S] start with EOS and are padded with PAD."""
        encoder_out = self.encode(audio, video, padding_mask)
        logits, attention = self.decoder(decoder_input_tokens, encoder_out, padding_mask, with_attention=with_attention)
        ctc_logits = self.ctc(encoder_out) if self.config.ctc_head else None
        return LipReading(logits, encoder_out, attention, ctc_logits)
