"""Stage: crops and features -> WebDataset shards with their index, and the corpus' keep-rate funnel."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.records import read_clips, read_rejected
from synctalk.jobs import write_json
from synctalk.params import load
from synctalk.shards.corpus import ShardParams, funnel, pack_corpus


def main(corpus: str, index: Path, crops: Path, features: Path, out: Path, metrics: Path) -> None:
    """Pack CROPS and FEATURES into the folder OUT; counts of kept and dropped clips go to METRICS."""
    kept = pack_corpus(corpus, read_clips(index / "clips.parquet"), crops, features, load("shards", ShardParams), out)
    rejected = [row for folder in (index, crops, features) for row in read_rejected(folder / "rejected.parquet")]
    write_json(metrics, funnel(kept, rejected))


if __name__ == "__main__":
    run(main)
