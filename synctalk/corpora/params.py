"""Where a corpus lies and how it is read: the section of params.yaml."""

from __future__ import annotations

from typing import Literal

from synctalk.params.section import section

Member = Literal["faces", "mouth", "fbank", "mfcc", "mel"]


@section
class IndexParams:
    """Indexing (params.yaml: `index`)."""

    min_keep_rate: float
    """The stage fails when a smaller share of the clips is usable, 0..1. What the lists leave out does not count."""


@section
class CorpusParams:
    """One corpus, by its name in the paper (params.yaml: `corpora.<name>`)."""

    root: str
    """Folder: made by the pipeline where it is data/synthetic/<name>, else the user's."""
    depends_on: str
    """What DVC compares: the root, every file of it, or a manifest (.jsonl) of many."""
    layout: str
    """How the folder is read: a key of `corpora.layouts.READERS`."""
    detector: Literal["tracks", "yunet", "insightface"]
    """`tracks` takes the face tracks published beside the clips; the others look at the frames."""
    members: tuple[Member, ...] = ("faces", "mouth", "fbank", "mfcc", "mel")
    """What shards keep of each clip; pre-training needs no faces."""
    max_segment_s: float = 16.0
    """Longer clips of the split `pretrain` are cut into segments of at most that; 0 cuts nothing. They are cut between
    words. AV-HuBERT's longest crop has 400 frames; auto_avsr cuts at 16 s too.
    """
