"""Joint beam search of the Conformer: the decoder's next-token and CTC's prefix scores (Watanabe et al. 2017).

Legend: T frames, V vocabulary, K hypotheses, C candidate tokens of each. One clip at a time.
The arithmetic is that of ESPnet's batch beam search as in mpc001/auto_avsr @182b628: 1.5 K candidates by the decoder
alone, CTC for those, no length normalisation, and an end when three lengths in a row are 10 nats worse than the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synctalk.models.beam_search import Hypothesis
from synctalk.models.conformer import BLANK, Conformer, KeysValues
from synctalk.params.section import section

CANDIDATES_PER_HYPOTHESIS = 1.5
END_MARGIN = -10.0
END_LENGTHS = 3
NEVER = -1e10
"""Log-probability of what cannot be."""


@section
class JointBeamConfig:
    """How hypotheses are searched; the defaults are the released evaluation's."""

    beam: int = 40
    ctc_weight: float = 0.1
    """Share of CTC's score, 0..1; the rest is the decoder's."""


@dataclass
class _Prefixes:
    """CTC's view of K hypotheses.

    Attributes:
        ends: [T, 2, K], log-probability that the frames up to t say the hypothesis and end in its last token (0) or in
            blank (1).
        score: [K], that all frames say the hypothesis or any continuation of it.
    """

    ends: Tensor
    score: Tensor


class _Ctc:
    """CTC prefix scores over the frames of one clip, log-probabilities [T, V]."""

    def __init__(self, log_probs: Tensor) -> None:
        self.log_probs = log_probs

    def start(self) -> _Prefixes:
        blanks = self.log_probs[:, BLANK].cumsum(0)
        ends = torch.stack([torch.full_like(blanks, NEVER), blanks], dim=1)[..., None]
        return _Prefixes(ends, blanks.new_zeros(1))

    def extend(self, prefixes: _Prefixes, last: Tensor, length: int, candidates: Tensor) -> _Prefixes:
        """Prefixes of `length` tokens that end in `last` [K], each followed by its candidates [K, C].

        `ends` of the result is [T, 2, K, C] and `score` [K, C].
        """
        spoken, silent = self.log_probs[:, candidates], self.log_probs[:, BLANK]
        # a token that repeats the last one must have a blank between
        repeats = candidates == last[:, None]
        before = torch.where(repeats, prefixes.ends[:, 1, :, None], self.any_end(prefixes)[..., None])
        ends = torch.full((len(spoken), 2, *candidates.shape), NEVER, device=spoken.device)
        if length == 0:
            ends[0, 0] = spoken[0]
        first = max(length, 1)
        ends[first:, 0] = _accumulated(ends[first - 1, 0], before[first - 1 : -1], spoken[first:])
        ends[first:, 1] = _accumulated(ends[first - 1, 1], ends[first - 1 : -1, 0], silent[first:, None, None])
        begins = torch.cat([before[first - 1 : -1] + spoken[first:], ends[first - 1 : first, 0]])
        return _Prefixes(ends, begins.logsumexp(0).masked_fill(candidates == BLANK, NEVER))

    @staticmethod
    def any_end(prefixes: _Prefixes) -> Tensor:
        """[T, K]: the frames up to t say the hypothesis and nothing else."""
        return prefixes.ends.logsumexp(1)


def _accumulated(start: Tensor, entering: Tensor, said: Tensor) -> Tensor:
    """x[t] = log(exp(x[t - 1]) + exp(entering[t])) + said[t] for every t, x[-1] being `start`.

    All at once, and in double precision: x is the difference of sums over the frames that are far larger than it.
    """
    so_far = said.double().cumsum(0)
    # x less what was said: only what enters changes it
    entering = entering.double() - (so_far - said)
    kept = torch.cat([start.double()[None], entering]).logcumsumexp(0)[1:]
    return (so_far + kept).to(start.dtype)


@torch.no_grad()
def joint_beam_search(model: Conformer, encoder_out: Tensor, config: JointBeamConfig) -> list[Hypothesis]:
    """Read one clip from its encoding [T, D]; the best hypothesis first, scores are not normalised.

    At most T tokens; hypotheses that reach it are closed at no cost.

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("beam search needs a Conformer in eval mode")
    eos, n_frames = model.config.eos, len(encoder_out)
    memories = model.decoder.remember(encoder_out[None])
    ctc = _Ctc(model.ctc(encoder_out))
    prefixes = ctc.start()
    past: list[KeysValues] | None = None
    tokens = torch.full((1, 1), eos, device=encoder_out.device)
    totals = torch.zeros(1, 1, device=encoder_out.device)
    closed: list[Hypothesis] = []
    for step in range(n_frames):
        log_probs, past = model.decoder.step(tokens[:, -1], step, memories, past)
        scores, extended, candidates = _joint_scores(log_probs, ctc, prefixes, tokens, config, eos)
        scores = scores + totals[:, -1:]
        best, flat = scores.flatten().topk(min(config.beam, scores.numel()))
        flat = flat[best > NEVER / 2]
        parents, columns = flat // scores.shape[1], flat % scores.shape[1]
        tokens = torch.cat([tokens[parents], candidates[parents, columns][:, None]], dim=1)
        totals = torch.cat([totals[parents], scores[parents, columns][:, None]], dim=1)
        ended = (tokens[:, -1] == eos) | (step == n_frames - 1)
        for row in ended.nonzero().flatten().tolist():
            closed.append(_close(tokens[row], totals[row], eos))
        if bool(ended.all()) or _settled(closed, step):
            break
        going = (~ended).nonzero().flatten()
        tokens, totals, parents, columns = tokens[going], totals[going], parents[going], columns[going]
        prefixes = _Prefixes(extended.ends[:, :, parents, columns], extended.score[parents, columns])
        past = [(keys[parents], values[parents]) for keys, values in past]
    return sorted(closed, key=lambda hypothesis: hypothesis.score, reverse=True)


def _joint_scores(
    log_probs: Tensor, ctc: _Ctc, prefixes: _Prefixes, tokens: Tensor, config: JointBeamConfig, eos: int
) -> tuple[Tensor, _Prefixes, Tensor]:
    """Scores [K, C] of the candidate tokens [K, C] of each hypothesis, the last candidate being the end."""
    n_candidates = int(CANDIDATES_PER_HYPOTHESIS * config.beam)
    vocabulary = log_probs.shape[1]
    if n_candidates < vocabulary and 0 < config.ctc_weight < 1:
        candidates = log_probs.topk(n_candidates).indices
    else:
        candidates = torch.arange(vocabulary, device=tokens.device).expand(len(tokens), -1)
    end = torch.full_like(candidates[:, :1], eos)
    candidates = torch.cat([candidates, end], dim=1)
    extended = ctc.extend(prefixes, tokens[:, -1], tokens.shape[1] - 1, candidates)
    extended.score[:, -1] = ctc.any_end(prefixes)[-1]
    weight = config.ctc_weight
    by_decoder = log_probs.gather(1, candidates)
    scores = (1 - weight) * by_decoder
    if weight > 0:
        scores = scores + weight * (extended.score - prefixes.score[:, None])
        scores = scores.masked_fill(candidates == BLANK, NEVER)
    scores[:, :-1] = scores[:, :-1].masked_fill(candidates[:, :-1] == eos, NEVER)
    return scores, extended, candidates


def _close(tokens: Tensor, totals: Tensor, eos: int) -> Hypothesis:
    spoken, log_probs = tokens[1:], totals.diff()
    if spoken[-1] != eos:
        spoken = torch.cat([spoken, spoken.new_tensor([eos])])
        log_probs = torch.cat([log_probs, log_probs.new_zeros(1)])
    return Hypothesis(spoken, float(totals[-1]), log_probs)


def _settled(closed: list[Hypothesis], step: int) -> bool:
    """Whether the last lengths that could have ended are all far worse than the best hypothesis."""
    if not closed:
        return False
    best = max(hypothesis.score for hypothesis in closed)
    for length in range(step - END_LENGTHS, step):
        same = [hypothesis.score for hypothesis in closed if len(hypothesis.tokens) == length]
        if not same or max(same) - best >= END_MARGIN:
            return False
    return True
