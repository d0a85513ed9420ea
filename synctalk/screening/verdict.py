"""What the figures of a clip mean for it: left alone, moved, or out of sync."""

from __future__ import annotations

from synctalk.errors import ClipError, Reason
from synctalk.metrics.lse import LipSync
from synctalk.screening.params import ScreenParams


def frames_to_move(found: LipSync, params: ScreenParams) -> int:
    """Frames by which a clip's audio must begin later (positive) or earlier in the file to belong to its lips.

    Args:
        found: offset and confidence of the clip.
        params: policy and limits; the policy is `reject` or `repair`.

    Raises:
        ClipError: `OUT_OF_SYNC`.
    """
    if found.confidence < params.min_confidence:
        raise ClipError(
            Reason.OUT_OF_SYNC,
            f"confidence {found.confidence:.2f} at an offset of {found.offset:+d} frames, at least "
            f"{params.min_confidence} is needed",
        )
    if abs(found.offset) <= params.max_offset_frames:
        return 0
    repairs = params.policy == "repair"
    limit = params.max_repair_frames if repairs else params.max_offset_frames
    if abs(found.offset) > limit or not repairs:
        raise ClipError(
            Reason.OUT_OF_SYNC,
            f"audio {abs(found.offset)} frames {'early' if found.offset > 0 else 'late'} (confidence "
            f"{found.confidence:.2f}), at most {limit} are {'repaired' if repairs else 'taken'}",
        )
    # audio that comes early lies before its frame in the file
    return -found.offset


def check_windows(n_windows: int, params: ScreenParams) -> None:
    """A clip long enough to be measured, where shorter ones are not to be kept.

    Raises:
        ClipError: `TOO_SHORT`.
    """
    if n_windows < params.min_windows and params.too_short == "reject":
        raise ClipError(
            Reason.TOO_SHORT, f"{n_windows} windows of lips and audio, at least {params.min_windows} are needed"
        )
