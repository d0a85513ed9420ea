"""What the peers' checkpoint files hold: wrappers and prefixes off, sizes from shapes.

Layouts: Rudrabha/Wav2Lip @5c90fa9, Sxjdwang/TalkLip @7ed53ee, facebookresearch/av_hubert @258fb50 (fairseq @afc77bdf),
joonson/syncnet_python @6efbb1c, mpc001/auto_avsr @182b628.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synctalk.checkpoints.torch_file import Foreign
from synctalk.errors import UserError

State = dict[str, Tensor]


@dataclass(frozen=True)
class PeerFile:
    """Weights of a peer.

    Attributes:
        state: name -> tensor, without the wrapper and without `module.`.
        cfg: fairseq's configuration of the model, empty where the file has none.
    """

    state: State
    cfg: Mapping[str, Any] = field(default_factory=dict)


def unwrap(path: Path, saved: object) -> PeerFile:
    """The state dict inside what a peer saved: itself, under `state_dict`, or under `model` (fairseq).

    Raises:
        UserError: there is no state dict.
    """
    cfg: object = {}
    state: object = saved
    if isinstance(saved, Mapping) and isinstance(saved.get("state_dict"), Mapping):
        state = saved["state_dict"]
    elif isinstance(saved, Mapping) and isinstance(saved.get("model"), Mapping):
        state, cfg = saved["model"], plain(saved.get("cfg") or saved.get("args") or {})
    if not isinstance(state, Mapping) or not state:
        raise UserError(path, "holds no state dict")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(path, f"is no state dict: entry {key!r} is not a tensor")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    model_cfg = cfg.get("model", cfg) if isinstance(cfg, Mapping) else {}
    return PeerFile(
        state=dict(state),
        cfg=model_cfg if isinstance(model_cfg, Mapping) else {},
    )


def plain(value: object) -> object:
    """A configuration of any age (dict, argparse namespace, OmegaConf nodes) as dicts, lists and plain values."""
    if isinstance(value, Foreign):
        state = value.state if isinstance(value.state, Mapping) else {}
        if "_content" in state:
            return plain(state["_content"])
        return plain(state["_val"]) if "_val" in state else {key: plain(item) for key, item in state.items()}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the greatest number that stands at `{}` in a key that begins with `pattern`, or 0."""
    expression = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d+)"))
    found = (expression.match(key) for key in state)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def check_entries(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """The same keys with the same shapes.

    Raises:
        UserError: names the first key that is missing, unknown, or of another shape.
    """
    missing = [key for key in expected if key not in state]
    unknown = [key for key in state if key not in expected]
    for keys, what in ((missing, "is missing"), (unknown, "is not of this network")):
        if keys:
            others = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise UserError(path, f"entry {keys[0]!r} {what}{others}")
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise UserError(path, f"entry {key!r} has shape {list(value.shape)}, not {list(expected[key].shape)}")


def with_batch_counters(state: State, expected: Mapping[str, Tensor]) -> State:
    """`state` with zero batch counters where it has none at all: files older than torch 0.4.1 lack them."""
    if any(key.endswith("num_batches_tracked") for key in state):
        return state
    return state | {key: torch.zeros((), dtype=torch.int64) for key in expected if key.endswith("num_batches_tracked")}
