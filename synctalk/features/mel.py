"""The audio input of Wav2Lip: 80 mel bands at 80 Hz, in windows of 0.2 s.

Source: Rudrabha/Wav2Lip @5c90fa9, as the librosa 0.7.0 that it pins computes it (newer ones pad with zeros, which
changes the first and last two columns).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from synctalk.features.pcm import Pcm, check_pcm
from synctalk.features.torchaudio_cpu import load_torchaudio
from synctalk.timebase import FPS, MEL_HOP, MEL_RATE, SAMPLE_RATE

N_MELS = 80
N_FFT = 800
MEL_HERTZ = (55.0, 7600.0)
"""Lower edge of the first filter, upper edge of the last one."""
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
PREEMPHASIS = 0.97
REFERENCE_DB = 20.0
MIN_DB = -100.0
MAX_ABS = 4.0
MEL_WINDOW = 16
"""Columns that one generated frame hears: 0.2 s."""


def mel_spectrogram(pcm: Pcm) -> NDArray[np.float32]:
    """Wav2Lip's mel spectrogram: int16 [n] at 16 kHz -> float32 [80, T80] in -4..4, T80 = 1 + n // 200.

    Amplitudes of 800-sample Hann windows, centred with reflection, through Slaney's filters from 55 to 7600 Hz; 20 dB
    under full scale and 100 dB of range make -4..4.

    Raises:
        ValueError: other samples than int16 [n], or 400 and fewer.
    """
    check_pcm(pcm, shortest=N_FFT // 2 + 1)
    samples = pcm / 2.0**15
    emphasised = samples - PREEMPHASIS * np.concatenate([[0.0], samples[:-1]])
    frames = sliding_window_view(np.pad(emphasised, N_FFT // 2, mode="reflect"), N_FFT)[::MEL_HOP]
    amplitude = np.abs(np.fft.rfft(frames * HANN)) @ mel_filters().T
    decibels = 20 * np.log10(np.maximum(1e-5, amplitude.T)) - REFERENCE_DB
    scaled = 2 * MAX_ABS * (decibels - MIN_DB) / -MIN_DB - MAX_ABS
    mel: NDArray[np.float32] = np.clip(scaled, -MAX_ABS, MAX_ABS).astype(np.float32)
    return mel


@cache
def mel_filters() -> NDArray[np.float64]:
    """Slaney's triangles of equal area between `MEL_HERTZ`, over the bins of a Fourier transform: [80, 401]."""
    functional, (low, high) = load_torchaudio().functional, MEL_HERTZ
    filters = functional.melscale_fbanks(N_FFT // 2 + 1, low, high, N_MELS, SAMPLE_RATE, "slaney", "slaney")
    return np.asarray(filters.numpy().T, np.float64)


def mel_window_starts(n_columns: int, fps: float = FPS) -> list[int]:
    """First column of each window in the released inference: one a frame, the last one ends with the spectrogram.

    Raises:
        ValueError: fewer columns than one window.
    """
    last = n_columns - MEL_WINDOW
    if last < 0:
        raise ValueError(f"{n_columns} mel columns are too few; one window has {MEL_WINDOW}")
    starts: list[int] = []
    while (start := int(len(starts) * MEL_RATE / fps)) <= last:
        starts.append(start)
    return [*starts, last]


def mel_windows(mel: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """The window that starts with each frame at 25 fps: [80, T80] -> [n_frames, 80, 16]; the last ones repeat.

    The one cut of training, generation and evaluation. The released training starts a frame earlier than the released
    inference does.

    Raises:
        ValueError: fewer columns than one window.
    """
    starts = np.array(mel_window_starts(mel.shape[1]))
    starts = starts[np.minimum(np.arange(n_frames), len(starts) - 1)]
    return sliding_window_view(mel, MEL_WINDOW, axis=1)[:, starts].transpose(1, 0, 2).copy()
