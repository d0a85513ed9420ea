"""Audio as the networks read it: one row a frame at 25 fps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synctalk.features.fbank import normalise_fbank, stacked_log_fbank
from synctalk.features.mel import MEL_WINDOW, mel_spectrogram, mel_windows
from synctalk.features.pcm import Pcm
from synctalk.timebase import FPS, MEL_HOP, SAMPLE_RATE


def audio_input(kind: str, feature: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """A stored feature as the input of networks that read it.

    Args:
        kind: `fbank` or `mel`.
        feature: log filterbank before normalisation [T, 104], or mel spectrogram [80, 80 Hz columns].
        n_frames: T.

    Returns:
        float32 [T, 104], normalised, or [T, 80, 16], the window that begins with each frame.

    Raises:
        ValueError: a mel spectrogram of less than one window.
    """
    return normalise_fbank(feature) if kind == "fbank" else mel_windows(feature, n_frames)


def audio_input_of_pcm(kind: str, pcm: Pcm) -> NDArray[np.float32]:
    """`audio_input` of any audio: int16 [n] at 16 kHz -> one row for each frame that begins within it, one at least.

    Audio too short for one mel window has silence after it.
    """
    if kind == "fbank":
        return audio_input(kind, stacked_log_fbank(pcm), 0)
    n_frames = max(1, -(-len(pcm) * FPS // SAMPLE_RATE))
    shortest = MEL_WINDOW * MEL_HOP
    return audio_input(kind, mel_spectrogram(np.pad(pcm, (0, max(0, shortest - len(pcm))))), n_frames)
