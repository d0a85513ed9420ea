"""Noise at a chosen level, as the noise-augmented AV-HuBERT mixes it (facebookresearch/av_hubert @258fb50)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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


def mix_fbank(clean: NDArray[np.float32], noises: Sequence[NDArray[np.float32]], snr_db: float) -> NDArray[np.float32]:
    """Log filterbank of speech with other audio `snr_db` below it, without their waveforms: energies add up.

    They do so in the mean, for sounds that know nothing of each other; in a single frame the waves interfere.

    Args:
        clean: log energies before normalisation, [T, F].
        noises: of one or more other sounds, [T_i, F], one as loud as the other; repeated or cut to T.
        snr_db: mean power of the speech over that of all noise.

    Returns:
        float32 [T, F].
    """
    power = np.exp(clean.astype(np.float64))
    others = [np.exp(np.resize(noise, clean.shape).astype(np.float64)) for noise in noises]
    background = np.sum([other / other.mean() for other in others], axis=0) / len(others)
    mixed: NDArray[np.float32] = np.log(power + background * power.mean() / 10 ** (snr_db / 10)).astype(np.float32)
    return mixed
