"""What is done where audio and picture differ in length. Light: the command line shows its values in `--help`."""

from __future__ import annotations

from enum import StrEnum


class Fit(StrEnum):
    """How long a dubbed video is, and what is shown where its footage has ended."""

    KEEP = "keep"
    """As long as the footage: longer audio is cut, and after shorter audio the lips rest."""
    CUT = "cut"
    """As long as the shorter of the two."""
    LOOP = "loop"
    """As long as the audio: the footage begins again from its first frame."""
    PING_PONG = "ping-pong"
    """As long as the audio: the footage runs backwards from its last frame, and forwards again from its first."""
