"""One clip to its audio features, on the time line of its crops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synctalk.features import align_to_video, mel_spectrogram, mfcc, pcm_from, stacked_log_fbank
from synctalk.timebase import FBANK_PER_FRAME, FPS, MEL_RATE


def extract_features(
    pcm: NDArray[np.int16], audio_start: int, n_frames: int, members: tuple[str, ...]
) -> dict[str, NDArray[np.float32]]:
    """Features of the audio that belongs to a clip's crops.

    Args:
        pcm: the clip's audio from frame 0 on.
        audio_start: frame of the audio's time line at which the crops begin; before 0 there is silence.
        n_frames: T.
        members: which of `fbank`, `mfcc` and `mel` are wanted.

    Returns:
        fbank [T, 104], mfcc [13, 4 T], mel [80, floor(3.2 T)]; float32, zeros where the audio ends early.
    """
    audio = pcm_from(pcm, audio_start)
    found: dict[str, NDArray[np.float32]] = {}
    if "fbank" in members:
        found["fbank"] = align_to_video(stacked_log_fbank(audio), n_frames)
    if "mfcc" in members:
        found["mfcc"] = align_to_video(mfcc(audio).T.astype(np.float32), n_frames * FBANK_PER_FRAME).T.copy()
    if "mel" in members:
        found["mel"] = align_to_video(mel_spectrogram(audio).T, n_frames * MEL_RATE // FPS).T.copy()
    return found
