"""Indexing a corpus: every clip that its lists name, probed and cut where it is long, or a reason why not."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from synctalk.atomic import publish
from synctalk.corpora.layouts import iter_corpus, probe_clip
from synctalk.corpora.listing import STAGE, impostor_error, impostors
from synctalk.corpora.records import CLIP_SCHEMA, Clip, ClipTable
from synctalk.corpora.segments import cut_clip
from synctalk.corpora.spill import Spill
from synctalk.parquet import iter_rows, write_table
from synctalk.rejected import REJECTED_SCHEMA, Rejected, iter_rejected
from synctalk.runtime.fingerprints import digest
from synctalk.runtime.parts import PartStage, Row, Tally, make_parts, part_path, rejected_of, require_keep_rate
from synctalk.runtime.scratch import scratch

CLIPS_PER_PART = 64
"""A third of a second's probing."""
CLIPS, REJECTED = "clips.parquet", "rejected.parquet"


@dataclass(frozen=True)
class _Listing:
    """What the reader found, on disk: clips that are not probed yet, and rows of what it could not use."""

    clips: ClipTable
    rejected: Path


def _list_corpus(layout: str, root: Path, folder: Path) -> _Listing:
    listing = _Listing(ClipTable(folder / CLIPS), folder / REJECTED)
    with Spill(folder / "clips.sqlite") as clips, Spill(folder / "rejected.sqlite") as rejected:
        for entry in iter_corpus(layout, root):
            (clips if isinstance(entry, Clip) else rejected).add(entry.id, asdict(entry))
        write_table(listing.clips.path, clips, CLIP_SCHEMA)
        write_table(listing.rejected, rejected, REJECTED_SCHEMA)
    return listing


def _stamp(root: Path, relative: str) -> tuple[int, int]:
    """Bytes and modification time of a file, which may have gone."""
    try:
        status = (root / relative).stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _load(number: int, clips: ClipTable) -> list[Clip]:
    return clips.between(number * CLIPS_PER_PART, (number + 1) * CLIPS_PER_PART)


def _probe(clip: Clip, root: Path, max_segment_s: float, dropped: frozenset[str]) -> list[Row | Rejected]:
    if clip.id in dropped:
        raise impostor_error(clip)
    probed = probe_clip(root, clip)
    cut = cut_clip(probed.clip, probed.n_frames, max_segment_s)
    return [row if isinstance(row, Rejected) else asdict(row) for row in cut]


def index_corpus(
    corpus: str, layout: str, root: Path, out: Path, max_segment_s: float = 0.0, min_keep_rate: float = 0.0
) -> ClipTable:
    """Read the lists and texts of a corpus, probe its media files, and cut its long `pretrain` clips.

    Args:
        corpus: name, for the progress bar and the scratch folder.
        layout: a key of `READERS`.
        root: folder of the corpus.
        out: folder, made where missing: clips.parquet and rejected.parquet, both sorted by id.
        max_segment_s: as `cut_clip`.
        min_keep_rate: smallest share of the clips that must be usable, 0..1.

    Returns:
        The clips.

    Raises:
        UserError: the root is missing, a list is broken, the layout is unknown, or too few clips are usable; the tables
            are written all the same.
    """
    with scratch(f"list-{corpus}", layout, str(root)) as folder:
        listing = _list_corpus(layout, root, folder)
        stamps = digest((asdict(clip), _stamp(root, clip.video), _stamp(root, clip.audio)) for clip in listing.clips)
        dropped = impostors(listing.clips.ids)
        stage = PartStage(
            STAGE,
            load=partial(_load, clips=listing.clips),
            work=partial(_probe, root=root, max_segment_s=max_segment_s, dropped=dropped),
            schema=CLIP_SCHEMA,
        )
        n_parts = -(-len(listing.clips) // CLIPS_PER_PART)
        with scratch(f"{STAGE}-{corpus}", stamps, max_segment_s, CLIPS_PER_PART) as parts:
            make_parts(f"{STAGE} {corpus}", stage, n_parts, parts)
            _merge(parts, n_parts, listing.rejected)
            for name in (CLIPS, REJECTED):
                publish(parts / name, out / name)
    clips = ClipTable(out / CLIPS)
    tally = Tally(len(clips), Counter(row.reason for row in iter_rejected(out / REJECTED)))
    require_keep_rate(tally, min_keep_rate, corpus, STAGE, out)
    return clips


def _merge(parts: Path, n_parts: int, listed: Path) -> None:
    """All parts as one table of clips and one of rejections; segments do not sort as the clips they were cut from."""
    with Spill(parts / "clips.sqlite") as clips, Spill(parts / "rejected.sqlite") as rejected:
        for number in range(n_parts):
            clips.extend(iter_rows(part_path(parts, number), CLIP_SCHEMA), "id")
        rejected.extend(iter_rows(listed, REJECTED_SCHEMA), "id")
        rejected.extend(map(asdict, rejected_of(parts, n_parts)), "id")
        write_table(parts / CLIPS, clips, CLIP_SCHEMA)
        write_table(parts / REJECTED, rejected, REJECTED_SCHEMA)
