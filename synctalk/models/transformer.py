"""The Transformer of AV-HuBERT's encoder and of its decoder (Vaswani et al. 2017, fig. 1), in pre-norm or post-norm.

Legend: B clips, T frames of the memory, S positions of the query, D width, H heads. Key names as in fairseq @afc77bdf.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(layer: nn.Module, *inputs: object) -> Tensor:
    """`layer(*inputs)`, keeping only the inputs for the backward pass, which computes the layer again with the same
    dropout: the same gradient for a third more time."""
    out: Tensor = checkpoint(layer, *inputs, use_reentrant=False) if torch.is_grad_enabled() else layer(*inputs)
    return out


class Attention(nn.Module):
    """Multi-head attention. Keys and values are made by `keys_values`, so that a decoder may keep them."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"{n_heads} heads do not divide the width {d_model}")
        self.n_heads = n_heads
        self.dropout = dropout
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.q_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split_heads(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, H, T, D/H]."""
        return torch.unflatten(x, -1, (self.n_heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Memory [B, T, D] -> keys and values, each [B, H, T, D/H]."""
        return self.split_heads(self.k_proj(memory)), self.split_heads(self.v_proj(memory))

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, attend: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Query [B, S, D] over keys and values [B, H, T, D/H] -> [B, S, D]; `attend` [B, 1, 1, T] is true to see."""
        x = F.scaled_dot_product_attention(
            self.split_heads(self.q_proj(query)),
            keys,
            values,
            attn_mask=attend,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        out: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return out

    def weights(self, query: Tensor, keys: Tensor, attend: Tensor | None) -> Tensor:
        """Attention weights, mean over the heads, [B, S, T]; each row sums to 1."""
        q = self.split_heads(self.q_proj(query))
        scores: Tensor = q @ keys.transpose(-1, -2) / q.shape[-1] ** 0.5
        if attend is not None:
            scores = scores.masked_fill(~attend, float("-inf"))
        return scores.softmax(-1).mean(1)


class FeedForwardLayer(nn.Module):
    """What encoder and decoder layers share: the feed-forward half, dropout, and the order of norm and residual."""

    def __init__(self, d_model: int, d_ffn: int, *, dropout: float, activation_dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.dropout = dropout
        self.activation_dropout = activation_dropout
        self.fc1 = nn.Linear(d_model, d_ffn)
        self.fc2 = nn.Linear(d_ffn, d_model)
        self.final_layer_norm = nn.LayerNorm(d_model)

    def residual(self, x: Tensor, norm: nn.Module, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """`x + branch(norm(x))`, or `norm(x + branch(x))` in post-norm."""
        if self.pre_norm:
            return x + F.dropout(branch(norm(x)), self.dropout, self.training)
        out: Tensor = norm(x + F.dropout(branch(x), self.dropout, self.training))
        return out

    def feed_forward(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        """[B, S, D] -> [B, S, D], with its norm and residual."""

        def branch(y: Tensor) -> Tensor:
            hidden = F.dropout(activation(self.fc1(y)), self.activation_dropout, self.training)
            out: Tensor = self.fc2(hidden)
            return out

        return self.residual(x, self.final_layer_norm, branch)


class EncoderLayer(FeedForwardLayer):
    """Self-attention and a GELU feed-forward."""

    def __init__(
        self,
        d_model: int,
        d_ffn: int,
        n_heads: int,
        *,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
        pre_norm: bool,
    ) -> None:
        super().__init__(d_model, d_ffn, dropout=dropout, activation_dropout=activation_dropout, pre_norm=pre_norm)
        self.self_attn = Attention(d_model, n_heads, attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        """[B, T, D] -> [B, T, D]; `attend` [B, 1, 1, T] is false for padding."""
        attention = self.self_attn
        x = self.residual(x, self.self_attn_layer_norm, lambda y: attention(y, *attention.keys_values(y), attend))
        return self.feed_forward(x, F.gelu)


class DecoderLayer(FeedForwardLayer):
    """Causal self-attention, attention over the encoder's output, and a ReLU feed-forward."""

    def __init__(
        self,
        d_model: int,
        d_ffn: int,
        n_heads: int,
        *,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
        pre_norm: bool,
    ) -> None:
        super().__init__(d_model, d_ffn, dropout=dropout, activation_dropout=activation_dropout, pre_norm=pre_norm)
        self.self_attn = Attention(d_model, n_heads, attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(d_model)
        self.encoder_attn = Attention(d_model, n_heads, attention_dropout)
        self.encoder_attn_layer_norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], attend_memory: Tensor | None) -> Tensor:
        """All positions at once. `memory` are keys and values of the encoder's output; [B, S, D] -> [B, S, D]."""
        cross = self.encoder_attn
        x = self._look_back(x)
        x = self.residual(x, self.encoder_attn_layer_norm, lambda y: cross(y, *memory, attend_memory))
        return self.feed_forward(x, F.relu)

    def _look_back(self, x: Tensor) -> Tensor:
        attention = self.self_attn
        return self.residual(
            x, self.self_attn_layer_norm, lambda y: attention(y, *attention.keys_values(y), causal=True)
        )

    def memory_weights(self, x: Tensor, memory: tuple[Tensor, Tensor], attend_memory: Tensor | None) -> Tensor:
        """The attention over the memory that `forward` pays for the same arguments, mean of the heads, [B, S, T]."""
        x = self._look_back(x)
        query = self.encoder_attn_layer_norm(x) if self.pre_norm else x
        return self.encoder_attn.weights(query, memory[0], attend_memory)

    def step(
        self,
        x: Tensor,
        memory: tuple[Tensor, Tensor],
        attend_memory: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One position of K hypotheses of each clip; `past` holds the keys and values of the positions before.

        Args:
            x: [B, K, D]; the hypotheses of a clip stand where positions usually do, so that the clip's memory
                is read once for all of them.
            memory: keys and values of the encoder's output, [B, H, T, D/H].
            attend_memory: [B, 1, 1, T] or None.
            past: keys and values [B·K, H, S, D/H], or None at the first position.

        Returns:
            The output [B, K, D], and `past` with one position more.
        """
        attention, cross = self.self_attn, self.encoder_attn
        kept: list[tuple[Tensor, Tensor]] = []

        def look_back(y: Tensor) -> Tensor:
            row = y.flatten(0, 1)[:, None]
            keys, values = attention.keys_values(row)
            if past is not None:
                keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
            kept.append((keys, values))
            seen: Tensor = attention(row, keys, values)
            return seen.view_as(y)

        x = self.residual(x, self.self_attn_layer_norm, look_back)
        x = self.residual(x, self.encoder_attn_layer_norm, lambda y: cross(y, *memory, attend_memory))
        return self.feed_forward(x, F.relu), kept[0]
