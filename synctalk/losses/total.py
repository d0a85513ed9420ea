"""Eqs. 6 and 13: the weighted sum of named terms. The name of a term is its key in params.yaml and in the log."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def weighted_total(*, terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """L_total = sum of lambda_name * L_name.

    Args:
        terms: scalar losses by name. Terms of weight 0 may be left out.
        weights: lambda by name.

    Raises:
        KeyError: a term without a weight, or a weight other than 0 without a term.
    """
    unknown = set(terms) - set(weights)
    missing = {name for name, weight in weights.items() if weight} - set(terms)
    if unknown or missing:
        raise KeyError(f"loss terms without a weight {sorted(unknown)}, weights without a term {sorted(missing)}")
    return torch.stack([weights[name] * term for name, term in terms.items() if weights[name]]).sum()
