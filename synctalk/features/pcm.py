"""The one kind of audio that features are made of: int16 samples, mono, 16 kHz."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from synctalk.timebase import n_samples

Pcm: TypeAlias = NDArray[np.int16]


def check_pcm(pcm: Pcm, shortest: int = 1) -> None:
    """Accept int16 samples [n] only: floats in -1..1 would give other features without any error.

    Raises:
        ValueError: another type or shape, or fewer samples than `shortest`.
    """
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise ValueError(f"samples must be int16 [n], mono at 16 kHz; got {pcm.dtype} {list(pcm.shape)}")
    if len(pcm) < shortest:
        raise ValueError(f"{len(pcm)} samples are too few; at least {shortest} are needed")


def pcm_from(pcm: Pcm, start: int) -> Pcm:
    """The samples from video frame `start` of their time line on; silence where the frame lies before the first one.

    The one way from a sample's `audio_start` to its audio: features, generation and evaluation read it here.
    """
    if start < 0:
        return np.pad(pcm, (n_samples(-start), 0))
    return pcm[n_samples(start) :]
