"""How well units that were found without labels (the clusters z_t of eq. 3) agree with phones, frame by frame.

The three figures of HuBERT (Hsu et al. 2021, section IV-D), from the joint distribution of phone y and unit z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UnitQuality:
    """Agreement of units and phones, each 0..1; higher is better.

    Attributes:
        phone_purity: share of the frames whose phone is the most frequent one of their unit: what a phone classifier
            that knows only the unit would get right. Grows with the number of units.
        cluster_purity: share of the frames whose unit is the most frequent one of their phone. Falls with it.
        pnmi: mutual information of phone and unit over the entropy of the phones: the share of what there is to know
            about the phone that the unit tells.
    """

    phone_purity: float
    cluster_purity: float
    pnmi: float


def entropy(shares: NDArray[np.float64]) -> float:
    """Nats, of a distribution of any shape; empty cells count 0."""
    kept = shares[shares > 0]
    return float(-(kept * np.log(kept)).sum())


def unit_quality(units: Sequence[int] | NDArray[np.int64], phones: Sequence[str]) -> UnitQuality:
    """Compare units and phones of the same frames.

    Args:
        units: number of each frame's unit, >= 0.
        phones: name of each frame's phone.

    Raises:
        ValueError: no frames, or not as many units as phones.
    """
    if not len(phones) or len(units) != len(phones):
        raise ValueError(f"{len(units)} units for {len(phones)} phones")
    names, of_frame = np.unique(np.asarray(phones), return_inverse=True)
    joint = np.zeros((len(names), int(np.max(units)) + 1))
    np.add.at(joint, (of_frame, np.asarray(units)), 1 / len(phones))
    of_phone, of_unit = joint.sum(1), joint.sum(0)
    told = entropy(of_phone) + entropy(of_unit) - entropy(joint)
    return UnitQuality(
        phone_purity=float(joint.max(0).sum()),
        cluster_purity=float(joint.max(1).sum()),
        pnmi=told / entropy(of_phone) if len(names) > 1 else 0.0,
    )
