"""What FFmpeg may open: the one file that it is told, by whatever name, and nothing that this file names."""

from __future__ import annotations

from pathlib import Path

import av

LISTS = frozenset(
    {"concat", "dash", "hls", "imf", "lavfi", "rtp", "rtp_mpegts", "rtsp", "sap", "sdp", "webm_dash_manifest"}
)
"""Formats that name other files, addresses or filters to read."""
FILES_ONLY = {"protocol_whitelist": "file", "format_whitelist": ",".join(sorted(av.formats_available - LISTS))}
"""Options with which a container opens no address and no list."""


def file_url(path: Path) -> str:
    """`path` as FFmpeg's URL of a file: a name such as `take1:2.mp4` is not taken for a protocol."""
    return f"file:{path}"
