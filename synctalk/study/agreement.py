"""How far raters agree: Krippendorff's alpha for ordered scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def ordinal_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Krippendorff's alpha with the ordinal metric: 1 is full agreement, 0 what chance would give.

    K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): alpha = 1 - D_o / D_e from the matrix of
    coincidences, in which each pair of scores of a unit with m scores counts 1 / (m - 1).

    Args:
        units: for each video the scores that it was given, by whomever; fewer than two say nothing.

    Returns:
        None where no unit has two scores, or all scores are the same, so that there is nothing to agree about.
    """
    pairable = [np.asarray(unit) for unit in units if len(unit) > 1]
    if not pairable:
        return None
    values, indices = np.unique(np.concatenate(pairable), return_inverse=True)
    coincidences = np.zeros((len(values), len(values)))
    start = 0
    for unit in pairable:
        counts = np.bincount(indices[start : start + len(unit)], minlength=len(values)).astype(float)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
        start += len(unit)
    totals = coincidences.sum(1)
    # ranks between two values: all scores from the one to the other, the outer two by half
    ranks = np.cumsum(totals) - totals / 2
    distance = (ranks[:, None] - ranks[None, :]) ** 2
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    if expected == 0:
        return None
    return float(1 - (coincidences * distance).sum() / expected)
