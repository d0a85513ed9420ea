"""Stage: a corpus folder -> clips.parquet (one row a clip, probed) and rejected.parquet."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.index import index_corpus
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import write_clips, write_rejected
from synctalk.params import load_entry


def main(corpus: str, root: Path, out: Path) -> None:
    """Index the corpus in ROOT into the folder OUT."""
    entry = load_entry("corpora", corpus, CorpusParams)
    index = index_corpus(entry.layout, root, entry.max_segment_s)
    write_clips(out / "clips.parquet", index.clips)
    write_rejected(out / "rejected.parquet", index.rejected)


if __name__ == "__main__":
    run(main)
