"""Stage: crops, the audio beside them and a SyncNet -> offset and confidence of every crop, and rejected.parquet."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.manifest import require_current
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import ClipTable
from synctalk.params.read import load, load_entry
from synctalk.screening.corpus import screen_corpus
from synctalk.screening.params import ScreenerParams, ScreenParams


def main(corpus: str, root: Path, index: Path, crops: Path, screener: Path, out: Path) -> None:
    """Screen the clips in CROPS, whose videos and audio lie in ROOT, by the net in SCREENER into the folder OUT."""
    require_current(corpus, load_entry("corpora", corpus, CorpusParams), root)
    params, view = load("screen", ScreenParams), load("screener", ScreenerParams).net.view
    clips = ClipTable(index / "clips.parquet")
    screen_corpus(corpus, root, clips, crops, screener / "model.safetensors", view, params, out)


if __name__ == "__main__":
    run(main)
