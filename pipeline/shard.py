"""Stage: screened crops and features -> WebDataset shards with their index, the corpus' funnel and its plots."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.atomic import write_json
from synctalk.corpora.records import ClipTable
from synctalk.params.read import load
from synctalk.rejected import iter_rejected
from synctalk.shards.corpus import ShardParams, iter_index, pack_corpus
from synctalk.shards.funnel import face_widths, funnel, sync_figures, write_plots


def main(
    corpus: str, index: Path, crops: Path, screening: Path, features: Path, out: Path, metrics: Path, plots: Path
) -> None:
    """Pack what SCREENING kept of CROPS, with FEATURES, into the folder OUT; what was kept and dropped goes to METRICS
    and PLOTS.
    """
    clips = ClipTable(index / "clips.parquet")
    pack_corpus(corpus, clips, crops, screening, features, load("shards", ShardParams), out)
    folders = (index, crops, screening, features)
    rejected = (row for folder in folders for row in iter_rejected(folder / "rejected.parquet"))
    sync = sync_figures(crops, screening)
    figures = funnel(iter_index(out), rejected, sync)
    write_json(metrics, figures)
    write_plots(plots, figures, sync, face_widths(crops))


if __name__ == "__main__":
    run(main)
