"""MFCC: the audio input of SyncNet, and what the first iteration of AV-HuBERT clusters.

Source: joonson/syncnet_python @6efbb1c with python_speech_features 0.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synctalk.features.pcm import Pcm, check_pcm
from synctalk.timebase import SAMPLE_RATE

WINDOW, HOP = SAMPLE_RATE // 40, SAMPLE_RATE // 100
"""Samples of a window, and from one to the next."""
PIECE_WINDOWS = 6000
"""Windows that are worked out at a time, a minute's: they take a hundred times the memory of their audio."""


def mfcc(pcm: Pcm) -> NDArray[np.float64]:
    """13 cepstra every 10 ms, the first of them the log energy: int16 [n] at 16 kHz -> [13, T100].

    Raises:
        ValueError: other samples than int16 [n], or none.
    """
    import python_speech_features  # a training box without it still reads stored features

    check_pcm(pcm)
    n_windows = 1 + max(0, -(-(len(pcm) - WINDOW) // HOP))
    pieces = []
    for first in range(0, n_windows, PIECE_WINDOWS):
        # one window before the piece takes the edge that pre-emphasis has there
        lead = min(first, 1)
        stop = first + PIECE_WINDOWS
        end = None if stop >= n_windows else (stop - 1) * HOP + WINDOW
        cepstra: NDArray[np.float64] = python_speech_features.mfcc(pcm[(first - lead) * HOP : end], SAMPLE_RATE)
        pieces.append(cepstra[lead:])
    return np.concatenate(pieces).T


def mfcc_with_deltas(pcm: Pcm) -> NDArray[np.float32]:
    """MFCC with their first and second differences: int16 [n] at 16 kHz -> [T100, 39].

    The released recipe takes Kaldi's MFCC here; these differ in window and dither, the clusters serve the same end.
    """
    return add_deltas(mfcc(pcm))


def add_deltas(cepstra: NDArray[np.floating]) -> NDArray[np.float32]:
    """First and second differences beside the cepstra: [13, T100] -> float32 [T100, 39]."""
    deltas = _slope(cepstra)
    return np.concatenate([cepstra, deltas, _slope(deltas)]).T.astype(np.float32)


def _slope(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Least-squares slope over two columns to either side of each, [C, T]; the ends repeat their edge."""
    padded = np.pad(rows, [(0, 0), (2, 2)], mode="edge")
    return (2 * (padded[:, 4:] - padded[:, :-4]) + padded[:, 3:-1] - padded[:, 1:-3]) / 10
