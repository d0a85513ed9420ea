"""Quality checks of a clip: each returns nothing, or raises the reason with the measured figure and the limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason
from synctalk.params.section import section
from synctalk.timebase import FPS, SAMPLES_PER_FRAME


@section
class QualityParams:
    """Limits of the filters (params.yaml: `crop.quality`)."""

    min_s: float
    """Shorter clips are `too_short`, seconds."""
    max_s: float
    """Longer clips are `too_long`, seconds."""
    max_length_mismatch_s: float
    """Largest difference between audio and video length."""
    min_loudness_db: float
    """Root mean square of the audio, dB below full scale; quieter clips are `silent_audio`."""
    min_mouth_motion: float
    """Mean absolute change (0..255) between neighbouring mouth regions; less is `frozen_face`."""
    max_missing_frames: int
    """Frames that the header may promise beyond the file's; more are `over_reported_frames`."""


def check_length(n_frames: int, params: QualityParams) -> None:
    """Clip length within limits.

    Raises:
        ClipError: `TOO_SHORT` or `TOO_LONG`.
    """
    seconds = n_frames / FPS
    if seconds < params.min_s:
        raise ClipError(Reason.TOO_SHORT, f"{seconds:.2f} s, at least {params.min_s} s are needed")
    if seconds > params.max_s:
        raise ClipError(Reason.TOO_LONG, f"{seconds:.2f} s, at most {params.max_s} s are taken")


def check_frame_count(n_missing: int, params: QualityParams) -> None:
    """About as many frames in the file as its header promises.

    Raises:
        ClipError: `OVER_REPORTED_FRAMES`.
    """
    if n_missing > params.max_missing_frames:
        raise ClipError(
            Reason.OVER_REPORTED_FRAMES,
            f"{n_missing} frames are promised and not there, at most {params.max_missing_frames} may be missing",
        )


def check_lengths_match(pcm: NDArray[np.int16], n_frames: int, params: QualityParams) -> None:
    """Audio of a file as long as its video.

    Raises:
        ClipError: `LENGTH_MISMATCH`.
    """
    mismatch_s = abs(len(pcm) / SAMPLES_PER_FRAME - n_frames) / FPS
    if mismatch_s > params.max_length_mismatch_s:
        raise ClipError(
            Reason.LENGTH_MISMATCH,
            f"audio and video differ by {mismatch_s:.2f} s, at most {params.max_length_mismatch_s} s are taken",
        )


def check_loudness(pcm: NDArray[np.int16], params: QualityParams) -> None:
    """Audio that is not silent: int16 [n], n may be 0.

    Raises:
        ClipError: `SILENT_AUDIO`.
    """
    power = float(np.mean((pcm.astype(np.float64) / 32768) ** 2)) if len(pcm) else 0.0
    loudness = 10 * np.log10(power) if power > 0 else -np.inf
    if loudness < params.min_loudness_db:
        raise ClipError(
            Reason.SILENT_AUDIO, f"{loudness:.2f} dB of full scale, at least {params.min_loudness_db} dB are needed"
        )


def check_motion(mouths: NDArray[np.uint8], params: QualityParams) -> None:
    """A mouth that moves: uint8 [T, S, S].

    Raises:
        ClipError: `FROZEN_FACE`.
    """
    motion = float(np.abs(np.diff(mouths.astype(np.int16), axis=0)).mean()) if len(mouths) > 1 else 0.0
    if motion < params.min_mouth_motion:
        raise ClipError(
            Reason.FROZEN_FACE,
            f"mouth changes by {motion:.2f} grey levels a frame, {params.min_mouth_motion} are needed",
        )
