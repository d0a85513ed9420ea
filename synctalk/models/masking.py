"""Span masks of AV-HuBERT pre-training (paper eq. 3: the sets M^a and M^v). numpy draws, so that workers can make them.

Legend: B clips, T frames. Source: `compute_mask_indices` of fairseq @afc77bdf and facebookresearch/av_hubert @258fb50;
the draws come in the same order, so that one seed of `numpy.random.RandomState` gives the same masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Draws: TypeAlias = "np.random.Generator | np.random.RandomState"
Mask: TypeAlias = NDArray[np.bool_]
MIN_SPANS = 2


def span_mask(
    n_frames: NDArray[np.int64], width: int, *, prob: float, length: int, rng: Draws, padded: bool = True
) -> Mask:
    """Spans of `length` frames that start at random frames and may overlap; every row has as many masked frames.

    Args:
        n_frames: real frames of each row, int [B].
        width: frames of the batch, T.
        prob: share of frames that the spans would cover if they did not overlap (0.8 of length 10 covers about 0.5).
        length: frames of a span.
        rng: source of the draws.
        padded: draw the number of spans for each row (the peers' way once a padding mask is given) or once for all.

    Returns:
        bool [B, T], true = masked, never in padding.
    """
    n_spans = _n_spans(prob, length, width, rng)
    rows = []
    for n in n_frames.tolist():
        if padded:
            n_spans = _n_spans(prob, length, n, rng)
        n_starts = n - length
        if n_starts <= n_spans:
            n_starts = n_spans + 1
        starts = rng.choice(n_starts, n_spans, replace=False)
        frames = np.unique(starts[:, None] + np.arange(length))
        rows.append(frames[frames < n])
    mask = np.zeros((len(rows), width), dtype=np.bool_)
    n_masked = min(len(frames) for frames in rows)
    for row, frames in zip(mask, rows, strict=True):
        row[frames if len(frames) == n_masked else rng.choice(frames, n_masked, replace=False)] = True
    return mask


def _n_spans(prob: float, length: int, n: int, rng: Draws) -> int:
    """Spans for `n` frames, rounded up with the probability of the fraction."""
    return max(MIN_SPANS, int(prob * n / length + rng.random()))


def runs(row: Mask) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of true frames in bool [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def replacement_frames(mask: Mask, rng: Draws) -> NDArray[np.int64]:
    """For each frame the frame of the same clip that is shown instead, int [B, T]; unmasked frames show themselves.

    A masked run is replaced by a run of the same length that starts elsewhere (`same_seq` of the released code).
    """
    n_frames = mask.shape[1]
    shown = np.broadcast_to(np.arange(n_frames), mask.shape).copy()
    for row, row_mask in zip(shown, mask, strict=True):
        for start, end in runs(row_mask):
            elsewhere = np.setdiff1d(np.arange(n_frames), np.arange(max(0, 2 * start - end), end))
            other = int(rng.choice(elsewhere, size=1)[0]) if len(elsewhere) else 0
            row[start:end] = np.arange(other, other + end - start).clip(max=n_frames - 1)
    return shown


@dataclass(frozen=True)
class SpanMasks:
    """What is hidden from the encoder in one batch.

    Attributes:
        audio: bool [B, T], audio rows that are replaced by the mask embedding (M^a).
        video: bool [B, T], frames that are replaced (M^v).
        shown_frames: int64 [B, T], the frame of the clip that stands at each frame.
    """

    audio: Tensor
    video: Tensor
    shown_frames: Tensor

    @property
    def union(self) -> Tensor:
        """bool [B, T]: M^a ∪ M^v."""
        return self.audio | self.video

    def to(self, device: torch.device | str) -> SpanMasks:
        """The same on another device."""
        return SpanMasks(self.audio.to(device), self.video.to(device), self.shown_frames.to(device))


def draw_span_masks(
    n_frames: NDArray[np.int64],
    width: int,
    *,
    audio: tuple[float, int],
    video: tuple[float, int],
    rng: Draws,
    padded: bool = True,
) -> SpanMasks:
    """Masks of a batch, video first; `audio` and `video` are (prob, length), see `span_mask`. Prob 0 masks nothing."""
    nothing = np.zeros((len(n_frames), width), dtype=np.bool_)
    video_mask, audio_mask = nothing, nothing
    if video[0] > 0:
        video_mask = span_mask(n_frames, width, prob=video[0], length=video[1], rng=rng, padded=padded)
    shown = replacement_frames(video_mask, rng)
    if audio[0] > 0:
        audio_mask = span_mask(n_frames, width, prob=audio[0], length=audio[1], rng=rng, padded=padded)
    return SpanMasks(torch.from_numpy(audio_mask), torch.from_numpy(video_mask), torch.from_numpy(shown))
