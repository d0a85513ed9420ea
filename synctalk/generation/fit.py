"""What is done where sound and picture differ in length. Light: the command line shows its values in `--help`."""

from __future__ import annotations

from enum import StrEnum


class Fit(StrEnum):
    """How long a dubbed video is, and what is shown where its footage has ended."""

    KEEP = "keep"
    """As long as the footage: longer sound is cut, and after shorter sound the lips rest."""
    CUT = "cut"
    """As long as the shorter of the two."""
    LOOP = "loop"
    """As long as the sound: the footage begins again from its first frame."""
    PING_PONG = "ping-pong"
    """As long as the sound: the footage runs backwards from its last frame, and forwards again from its first."""
