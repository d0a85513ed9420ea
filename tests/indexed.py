"""The index stage on small corpora, its outcome in memory."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from synctalk.corpora.index import index_corpus
from synctalk.corpora.records import Clip, read_clips
from synctalk.rejected import Rejected, read_rejected


@dataclass(frozen=True)
class Indexed:
    """What the stage wrote."""

    clips: list[Clip]
    rejected: list[Rejected]


def indexed(layout: str, root: Path, max_segment_s: float = 0.0) -> Indexed:
    """Index the corpus at `root` and read back what was written."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("synctalk.runtime.scratch.STATE_DIR", Path(folder) / "state"),
    ):
        out = Path(folder) / "index"
        index_corpus("test", layout, root, out, max_segment_s)
        return Indexed(read_clips(out / "clips.parquet"), read_rejected(out / "rejected.parquet"))
