"""Stage: index and videos -> crops (face, mouth, box, transform) in parts, and rejected.parquet."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.manifest import require_current
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import ClipTable
from synctalk.faces.corpus import crop_corpus
from synctalk.faces.extract import CropParams
from synctalk.params.read import load, load_entry


def main(corpus: str, root: Path, index: Path, out: Path) -> None:
    """Crop the clips of INDEX, whose videos lie in ROOT, into the folder OUT."""
    params, entry = load("crop", CropParams), load_entry("corpora", corpus, CorpusParams)
    require_current(corpus, entry, root)
    crop_corpus(corpus, root, ClipTable(index / "clips.parquet"), params, entry.detector, entry.members, out)


if __name__ == "__main__":
    run(main)
