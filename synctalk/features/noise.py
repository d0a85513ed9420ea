"""Noise at a chosen level, as the noise-augmented AV-HuBERT mixes it (facebookresearch/av_hubert @258fb50)."""

from __future__ import annotations

import numpy as np

from synctalk.features.pcm import Pcm, check_pcm


def mix_noise(clean: Pcm, noise: Pcm, snr_db: float) -> Pcm:
    """Clean speech with noise `snr_db` below it in power; int16 [n] as long as `clean`.

    Noise that is shorter is repeated, longer is cut at its end. A sum beyond int16 is scaled down, not clipped.

    Raises:
        ValueError: other samples than int16 [n], none, or noise that is silent.
    """
    check_pcm(clean)
    check_pcm(noise)
    speech = clean.astype(np.float32)
    background = np.resize(noise, len(clean)).astype(np.float32)
    noise_rms = np.sqrt(np.square(background).mean())
    if noise_rms == 0:
        raise ValueError("the noise is silent")
    level = np.sqrt(np.square(speech).mean()) / 10 ** (snr_db / 20)
    mixed = speech + background * (level / noise_rms)
    limits = np.iinfo(np.int16)
    scale = max(mixed.max() / limits.max, mixed.min() / limits.min, 1.0)
    mixture: Pcm = (mixed / scale).astype(np.int16)
    return mixture
