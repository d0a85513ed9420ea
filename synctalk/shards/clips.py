"""Test clips of a corpus: where its files lie, its index, and its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import Clip, read_clips
from synctalk.params.read import load_entry
from synctalk.shards.read import ShardSet


@dataclass(frozen=True)
class CorpusClips:
    """Test clips of one corpus.

    Attributes:
        root: folder of the corpus.
        clips: all that are indexed.
        shards: samples of the test split; one clip has several where several faces talk.
    """

    root: Path
    clips: Sequence[Clip]
    shards: ShardSet


def load_test_clips(corpus: str, index: Path, shards: Path) -> CorpusClips:
    """The test clips of a corpus, from the folders of all indexes and all shards.

    Raises:
        UserError: params.yaml has no such corpus, or its index or shards are missing or broken.
    """
    root = Path(load_entry("corpora", corpus, CorpusParams).root)
    return CorpusClips(root, read_clips(index / corpus / "clips.parquet"), ShardSet([shards / corpus], ["test"]))
