"""The audio input of AV-HuBERT: 26 log filterbanks at 100 Hz, four rows stacked to one of 104 at 25 Hz.

Source: facebookresearch/av_hubert @258fb50 with python_speech_features 0.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synctalk.features.pcm import Pcm, check_pcm
from synctalk.timebase import FBANK_PER_FRAME, SAMPLE_RATE, STACKED_FBANK


def stacked_log_fbank(pcm: Pcm) -> NDArray[np.float32]:
    """Natural log of 26 filterbank energies, four 10 ms rows to a video frame, before normalisation.

    Windows of 25 ms, not tapered; the last rows are filled with zeros to whole frames. Digital silence is -36.04.

    Args:
        pcm: int16 [n], mono at 16 kHz; scaled to -1..1 it would give other features.

    Returns:
        float32 [T25, 104] with T25 = ceil((1 + ceil((n - 400) / 160)) / 4).

    Raises:
        ValueError: other samples than int16 [n], or none.
    """
    import python_speech_features  # a training box without it still reads stored features

    check_pcm(pcm)
    rows = python_speech_features.logfbank(pcm, SAMPLE_RATE).astype(np.float32)
    return np.pad(rows, [(0, -len(rows) % FBANK_PER_FRAME), (0, 0)]).reshape(-1, STACKED_FBANK)


def normalise_fbank(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Layer norm of each row without gain and bias (eps 1e-5): [..., 104] -> float32 [..., 104]."""
    exact = rows.astype(np.float64)
    centred = exact - exact.mean(-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5)
    normalised: NDArray[np.float32] = (centred / deviation).astype(np.float32)
    return normalised
