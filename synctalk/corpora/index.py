"""Indexing a corpus: every clip that its lists name, probed and cut where it is long, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from synctalk.corpora.layouts import probe_clip, read_corpus
from synctalk.corpora.listing import reject
from synctalk.corpora.records import Clip, Rejected
from synctalk.corpora.segments import cut_clip
from synctalk.errors import ClipError
from synctalk.jobs import map_ordered


@dataclass(frozen=True)
class Index:
    """Clips of a corpus, and those that are dropped; both sorted by id."""

    clips: list[Clip]
    rejected: list[Rejected]


def _probe(clip: Clip, root: Path, max_segment_s: float) -> list[Clip | Rejected]:
    try:
        probed = probe_clip(root, clip)
        return cut_clip(probed.clip, probed.n_frames, max_segment_s)
    except ClipError as error:
        return [reject(clip.id, error)]


def index_corpus(layout: str, root: Path, max_segment_s: float = 0.0) -> Index:
    """Read the lists and texts of a corpus, probe its media files in processes, and cut its long `pretrain` clips.

    Args:
        layout: a key of `READERS`.
        root: folder of the corpus.
        max_segment_s: as `cut_clip`.

    Raises:
        UserError: the root is missing, a list is broken, the layout is unknown.
    """
    reading = read_corpus(layout, root)
    probe = partial(_probe, root=root, max_segment_s=max_segment_s)
    rows = [row for part in map_ordered(probe, reading.clips, label=f"probe {root.name}") for row in part]
    clips = sorted((row for row in rows if isinstance(row, Clip)), key=lambda clip: clip.id)
    dropped = [*reading.rejected, *(row for row in rows if isinstance(row, Rejected))]
    return Index(clips, sorted(dropped, key=lambda row: row.id))
