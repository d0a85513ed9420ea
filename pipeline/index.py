"""Stage: a corpus folder -> clips.parquet (one row a clip, probed) and rejected.parquet."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.index import index_corpus
from synctalk.corpora.manifest import require_current
from synctalk.corpora.params import CorpusParams, IndexParams
from synctalk.params.read import load, load_entry


def main(corpus: str, root: Path, out: Path) -> None:
    """Index the corpus in ROOT into the folder OUT."""
    entry = load_entry("corpora", corpus, CorpusParams)
    require_current(corpus, entry, root)
    limit = load("index", IndexParams).min_keep_rate
    index_corpus(corpus, entry.layout, root, out, entry.max_segment_s, limit)


if __name__ == "__main__":
    run(main)
