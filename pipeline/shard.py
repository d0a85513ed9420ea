"""Stage: crops and features -> WebDataset shards with their index, and the corpus' keep-rate funnel."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.records import ClipTable, iter_rejected
from synctalk.jobs import write_json
from synctalk.params import load
from synctalk.shards.corpus import ShardParams, funnel, iter_index, pack_corpus


def main(corpus: str, index: Path, crops: Path, features: Path, out: Path, metrics: Path) -> None:
    """Pack CROPS and FEATURES into the folder OUT; counts of kept and dropped clips go to METRICS."""
    clips = ClipTable(index / "clips.parquet")
    pack_corpus(corpus, clips, crops, features, load("shards", ShardParams), out)
    rejected = (row for folder in (index, crops, features) for row in iter_rejected(folder / "rejected.parquet"))
    write_json(metrics, funnel(iter_index(out), rejected))


if __name__ == "__main__":
    run(main)
