"""Stage: shards and the last model -> cluster labels of every frame (the z_t of eq. 3) and their centroids."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.params.read import load
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import write_json
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.clusters import cluster_corpora, write_clusters, write_usage
from synctalk.training.pretrain import PretrainSection


def main(iteration: str, source: Path, shards: str, out: Path, metrics: Path, usage: Path) -> None:
    """Cluster the frames of the pre-training corpora in SHARDS for ITERATION, from SOURCE, into the folder OUT.

    METRICS gets the count and the perplexity of the clusters, USAGE the share of the frames in each.
    """
    set_threads()
    section, seed, crop = load("pretrain", PretrainSection), load("seed", int), load("mouth_crop", int)
    params = section.iterations[iteration].clusters
    samples = SampleCache(ShardSet([join(shards, corpus) for corpus in section.corpora], TRAIN_SPLITS))
    clusters = cluster_corpora(samples, source, params, crop=crop, seed=seed)
    write_clusters(out, samples, clusters)
    write_json(metrics, {"clusters": len(clusters.centroids), "perplexity": round(clusters.perplexity(), 3)})
    write_usage(usage, clusters)


if __name__ == "__main__":
    run(main)
