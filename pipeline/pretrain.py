"""Stage: shards and cluster labels -> AV-HuBERT after one iteration of masked cluster prediction (eq. 3)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.faces.align import MouthParams
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.params.read import load, load_entry
from synctalk.runtime.jobs import content_key
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.clusters import read_labels
from synctalk.training.fit import fit
from synctalk.training.loop import write_curves
from synctalk.training.pretrain import PretrainSection, PretrainTask, begin_iteration
from synctalk.training.processes import begin_training, leads, shared_scratch


def main(iteration: str, source: Path, shards: str, clusters: Path, out: Path) -> None:
    """Train ITERATION on SHARDS and CLUSTERS, beginning with SOURCE where params say so, into the folder OUT."""
    begin_training()
    section, seed, crop = load("pretrain", PretrainSection), load("seed", int), load("mouth_crop", int)
    params, config = section.iterations[iteration], load("av_syncnet", LipReaderConfig).encoder
    samples = SampleCache(ShardSet([join(shards, corpus) for corpus in section.corpora], TRAIN_SPLITS))
    labels = read_labels(clusters, samples)
    model = begin_iteration(config, params, labels, source, seed=seed)
    mouth = load_entry("crop", "mouth", MouthParams)
    with shared_scratch(f"pretrain-{iteration}", params, config, seed, content_key(clusters, source)) as folder:
        task = PretrainTask(model, samples, labels, params, crop=crop, seed=seed)
        state = fit(task, folder=folder, label=f"pretrain {iteration}")
        if leads():
            out.mkdir(parents=True, exist_ok=True)
            save(
                model,
                out / "model.safetensors",
                {"iteration": iteration, "seed": seed, "crop": crop, "mouth": asdict(mouth)},
            )
            write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
