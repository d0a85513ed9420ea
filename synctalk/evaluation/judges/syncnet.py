"""SyncNet, the judge of synchronisation: LSE-C, LSE-D and the offset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.features.syncnet_input import View
from synctalk.metrics.lse import LipSync, lse
from synctalk.models.sync_scorer import SyncScorer
from synctalk.runtime.device import torch_device


@dataclass(frozen=True)
class SyncJudge:
    """SyncNet, what it looks at, and whether that goes through the public script's JPEG first."""

    model: SyncScorer
    view: View
    jpeg: bool = False


@dataclass(frozen=True)
class SyncEmbeddings:
    """SyncNet's view of one clip: lip and audio embeddings of its N windows, [N, D] each."""

    lip: Tensor
    audio: Tensor


def sync_embeddings(
    scorer: SyncScorer,
    pictures: NDArray[np.uint8] | Iterable[NDArray[np.uint8]],
    mfcc: NDArray[np.float32],
    n_samples: int,
) -> SyncEmbeddings:
    """Embeddings of a clip, whose pictures uint8 [C, H, W] may come one by one; see `SyncScorer.embed`."""
    scorer.to(torch_device())
    lip, audio = scorer.embed(map(torch.from_numpy, pictures), torch.from_numpy(mfcc), n_samples)
    return SyncEmbeddings(lip, audio)


def judge_sync(lips: SyncEmbeddings, audio: SyncEmbeddings) -> LipSync:
    """LSE of the lips of one clip against the audio of the same or another clip, over the windows that both have."""
    n_windows = min(len(lips.lip), len(audio.audio))
    return lse(lips.lip[:n_windows], audio.audio[:n_windows])


def sync_figures(embeddings: Sequence[SyncEmbeddings], number: int) -> dict[str, Any]:
    """LSE-C, LSE-D and offset of one of several clips; its other audio is that of the next, cyclically."""
    own = judge_sync(embeddings[number], embeddings[number])
    figures = {
        "n_windows": len(embeddings[number].lip),
        "lse_c": own.confidence,
        "lse_d": own.distance,
        "offset": own.offset,
    }
    if len(embeddings) > 1:
        other = judge_sync(embeddings[number], embeddings[(number + 1) % len(embeddings)])
        figures["lse_c_other"] = other.confidence
    return figures
