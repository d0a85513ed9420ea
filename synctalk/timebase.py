"""The one time base of the project: every rate stands here once or is derived by exact division.

Video 25 frames a second, audio 16 kHz mono; so 640 samples, 4 filterbank rows (100 Hz) and 3.2 mel
columns (80 Hz) a frame.
"""

from __future__ import annotations


def exact_div(numerator: int, denominator: int) -> int:
    """`numerator / denominator` where it is whole; a wrong rate fails at import and not as a drifting alignment.

    Raises:
        ValueError: the division leaves a remainder.
    """
    quotient, remainder = divmod(numerator, denominator)
    if remainder:
        raise ValueError(f"{numerator} is not a multiple of {denominator}")
    return quotient


FPS = 25
SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = exact_div(SAMPLE_RATE, FPS)

FBANK_RATE = 100
"""Rows a second of log filterbank and MFCC (10 ms hop)."""
FBANK_HOP = exact_div(SAMPLE_RATE, FBANK_RATE)
FBANK_PER_FRAME = exact_div(FBANK_RATE, FPS)
N_FBANK = 26
STACKED_FBANK = N_FBANK * FBANK_PER_FRAME
"""Width of the audio input of AV-HuBERT: 4 rows of 26 filters a video frame."""

MEL_RATE = 80
MEL_HOP = exact_div(SAMPLE_RATE, MEL_RATE)


def n_samples(n_frames: int) -> int:
    """Audio samples that last as long as `n_frames` video frames."""
    return n_frames * SAMPLES_PER_FRAME


def n_whole_frames(samples: int) -> int:
    """Video frames that are wholly covered by `samples` audio samples."""
    return samples // SAMPLES_PER_FRAME


def n_frames_in(seconds: float) -> int:
    """Video frames in `seconds`, rounded to the nearest whole frame."""
    return int(seconds * FPS + 0.5)
