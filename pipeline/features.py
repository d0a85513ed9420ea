"""Stage: index, audio and crops -> audio features of every clip that has crops, in the same parts; rejected.parquet."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.manifest import require_current
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import ClipTable
from synctalk.features.corpus import extract_corpus
from synctalk.params.read import load_entry


def main(corpus: str, root: Path, index: Path, crops: Path, screening: Path, out: Path) -> None:
    """Extract the features of the CROPS that SCREENING kept, whose audio lies in ROOT, into the folder OUT."""
    entry = load_entry("corpora", corpus, CorpusParams)
    require_current(corpus, entry, root)
    clips = ClipTable(index / "clips.parquet")
    extract_corpus(corpus, root, clips, crops, screening, entry.members, out)


if __name__ == "__main__":
    run(main)
