"""Indexing a corpus: every clip that its lists name, probed, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from synctalk.corpora.layouts import probe_clip, read_corpus
from synctalk.corpora.listing import reject
from synctalk.corpora.records import Clip, Rejected
from synctalk.errors import ClipError
from synctalk.jobs import map_ordered


@dataclass(frozen=True)
class Index:
    """Clips of a corpus, and those that are dropped; both sorted by id."""

    clips: list[Clip]
    rejected: list[Rejected]


def _probe(clip: Clip, root: Path) -> Clip | Rejected:
    try:
        return probe_clip(root, clip)
    except ClipError as error:
        return reject(clip.id, error)


def index_corpus(layout: str, root: Path) -> Index:
    """Read the lists and texts of a corpus and probe its media files in processes.

    Raises:
        UserError: the root is missing, a list is broken, the layout is unknown.
    """
    reading = read_corpus(layout, root)
    probed = list(map_ordered(partial(_probe, root=root), reading.clips, label=f"probe {root.name}"))
    clips = sorted((row for row in probed if isinstance(row, Clip)), key=lambda clip: clip.id)
    dropped = [*reading.rejected, *(row for row in probed if isinstance(row, Rejected))]
    return Index(clips, sorted(dropped, key=lambda row: row.id))
