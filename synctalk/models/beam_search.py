"""Beam search of the lip reader, for many clips at once and with kept keys and values.

Legend: B clips, A those still searched, K beam, V vocabulary, T frames, S tokens so far.
The arithmetic is that of fairseq @afc77bdf (`SequenceGenerator`): 2K candidates a step, of which an end among the first
K closes a hypothesis; a clip is done when K hypotheses are closed or its length is reached.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synctalk.models.lip_reader import EOS, PAD, KeysValues, LipReader, LipReaderConfig
from synctalk.params.section import section


@section
class BeamConfig:
    """How hypotheses are searched and ranked; the defaults are the released evaluation's."""

    beam: int = 50
    length_penalty: float = 1.0
    """Scores are the summed log-probability over length**penalty, the end counted."""
    max_len_a: float = 1.0
    max_len_b: int = 0
    """At most a·T + b tokens before the end, T the frames of the clip."""
    max_tokens: int = 512
    """And never more than this."""


def kept_bytes(config: LipReaderConfig, beam: BeamConfig, n_frames: int) -> int:
    """Most bytes that the search of one clip keeps: float32 keys and values of every hypothesis, layer and token."""
    n_tokens = min(int(beam.max_len_a * n_frames) + beam.max_len_b, beam.max_tokens) + 1
    return 2 * 4 * config.n_layers * config.encoder.d_model * beam.beam * n_tokens


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a clip.

    Attributes:
        tokens: int64 [S], the last of them EOS.
        score: normalised log-probability.
        log_probs: [S], of each token.
    """

    tokens: Tensor
    score: float
    log_probs: Tensor


@dataclass
class _Beams:
    """The hypotheses of the A clips still searched."""

    clips: list[int]
    tokens: Tensor  # [A, K, S]
    totals: Tensor  # [A, K, S], summed log-probability up to each token
    dead: Tensor  # [A, K], columns that had no candidate left
    limits: Tensor  # [A], tokens before the end at most
    memories: list[KeysValues]
    attend_memory: Tensor | None
    past: list[KeysValues] | None

    def keep(self, rows: list[int], parents: Tensor) -> None:
        """Go on with clips `rows` only; `parents` [A, K] are the hypotheses that each column continues."""
        n_beams = parents.shape[1]
        index = torch.tensor(rows, device=parents.device)
        flat = (index[:, None] * n_beams + parents[index]).flatten()
        assert self.past is not None
        self.past = [(keys[flat], values[flat]) for keys, values in self.past]
        self.clips = [self.clips[row] for row in rows]
        self.tokens, self.totals, self.dead = self.tokens[index], self.totals[index], self.dead[index]
        if len(rows) < parents.shape[0]:
            self.limits = self.limits[index]
            self.memories = [(keys[index], values[index]) for keys, values in self.memories]
            self.attend_memory = None if self.attend_memory is None else self.attend_memory[index]


@torch.no_grad()
def beam_search(
    reader: LipReader,
    encoder_out: Tensor,
    padding_mask: Tensor | None,
    config: BeamConfig,
    n_frames: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """Read clips; what is read in one does not depend on the others of the batch.

    Args:
        reader: in eval mode.
        encoder_out: [B, T, D] of `reader.encode`.
        padding_mask: bool [B, T], true = padding, or None.
        config: the search.
        n_frames: int [B], frames from which the length is limited. By default the real ones of each clip; the
            released evaluation takes those of the padded batch.

    Returns:
        Up to `beam` hypotheses for each clip, the best first.

    Raises:
        ValueError: no token is allowed, or the reader is in training mode.
    """
    if reader.training:
        raise ValueError("beam search needs a lip reader in eval mode")
    n_clips, width, _ = encoder_out.shape
    if n_frames is None:
        n_frames = torch.full((n_clips,), width) if padding_mask is None else (~padding_mask).sum(1)
    limits = (config.max_len_a * n_frames + config.max_len_b).to(encoder_out.device, torch.int64)
    limits = limits.clamp(max=config.max_tokens)
    if int(limits.min()) < 1:
        raise ValueError(f"{int(n_frames.min())} frames allow no token; raise max_len_b")
    n_beams = min(config.beam, reader.config.vocabulary - 1)
    beams = _Beams(
        clips=list(range(n_clips)),
        tokens=torch.full((n_clips, n_beams, 1), EOS, device=encoder_out.device),
        totals=encoder_out.new_zeros(n_clips, n_beams, 0, dtype=torch.float32),
        dead=torch.zeros(n_clips, n_beams, dtype=torch.bool, device=encoder_out.device),
        limits=limits,
        memories=reader.decoder.remember(encoder_out),
        attend_memory=None if padding_mask is None else ~padding_mask[:, None, None],
        past=None,
    )
    closed: list[list[Hypothesis]] = [[] for _ in range(n_clips)]
    for step in range(int(limits.max()) + 1):
        logits, beams.past = reader.decoder.step(
            beams.tokens[:, :, -1], step, beams.memories, beams.attend_memory, beams.past
        )
        totals, parents, tokens = _candidates(logits, beams, step)
        ends = (tokens == EOS) & totals.isfinite()
        ends[:, :n_beams] &= ~beams.dead
        _close(closed, beams, ends[:, :n_beams], totals, parents, config.length_penalty)
        full = torch.tensor([len(closed[clip]) == n_beams for clip in beams.clips], device=limits.device)
        rows = (~full & (beams.limits > step)).nonzero().flatten().tolist()
        if not rows:
            break
        _advance(beams, ends, totals, parents, tokens, rows)
    return [sorted(hypotheses, key=lambda h: h.score, reverse=True) for hypotheses in closed]


def _candidates(logits: Tensor, beams: _Beams, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best 2K continuations of each clip: totals, the hypotheses they continue and their tokens, each [A, 2K]."""
    log_probs = logits.float().log_softmax(-1)
    log_probs[..., PAD] = float("-inf")
    if step == 0:
        log_probs[..., EOS] = float("-inf")
    end = log_probs[..., EOS].clone()
    log_probs[beams.limits == step] = float("-inf")
    log_probs[..., EOS] = end
    n_beams, vocabulary = log_probs.shape[1:]
    # all hypotheses are equal before the first token
    continued = log_probs[:, :1] if step == 0 else log_probs + beams.totals[:, :, -1:]
    flat = continued.flatten(1)
    totals, index = flat.topk(min(2 * n_beams, flat.shape[1] - 1))
    return totals, index // vocabulary, index % vocabulary


def _close(
    closed: list[list[Hypothesis]], beams: _Beams, ends: Tensor, totals: Tensor, parents: Tensor, penalty: float
) -> None:
    """Hypotheses that end among the first K candidates, best first, until a clip has K of them."""
    n_beams = ends.shape[1]
    for row, column in ends.nonzero().tolist():
        found = closed[beams.clips[row]]
        if len(found) == n_beams:
            continue
        parent, total = int(parents[row, column]), totals[row, column]
        tokens = torch.cat([beams.tokens[row, parent, 1:], beams.tokens.new_tensor([EOS])])
        history = torch.cat([beams.totals[row, parent], total[None]])
        log_probs = history.diff(prepend=history.new_zeros(1))
        found.append(Hypothesis(tokens, float(total) / len(tokens) ** penalty, log_probs))


def _advance(beams: _Beams, ends: Tensor, totals: Tensor, parents: Tensor, tokens: Tensor, rows: list[int]) -> None:
    """The K best candidates that do not end become the hypotheses of the next step."""
    n_beams, n_candidates = beams.tokens.shape[1], totals.shape[1]
    unfit = ends.clone()
    unfit[:, :n_beams] |= beams.dead
    rank = torch.arange(n_candidates, device=ends.device) + unfit * n_candidates
    order, chosen = rank.topk(n_beams, largest=False)
    beams.dead = order >= n_candidates
    parents = parents.gather(1, chosen)
    history = parents[..., None].expand(-1, -1, beams.tokens.shape[2])
    beams.tokens = torch.cat([beams.tokens.gather(1, history), tokens.gather(1, chosen)[..., None]], dim=2)
    beams.totals = torch.cat([beams.totals.gather(1, history[..., 1:]), totals.gather(1, chosen)[..., None]], dim=2)
    beams.keep(rows, parents)
