"""Stage: shards -> the SyncNet judge behind LSE-C and LSE-D, or the published one read from its file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_syncnet
from synctalk.faces.align import MouthParams
from synctalk.models.syncnet import SyncNet
from synctalk.params.read import load, load_entry
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import scratch
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.fit import fit
from synctalk.training.loop import write_curves
from synctalk.training.syncnet import SyncNetParams, SyncNetTask


def main(shards: str, out: Path) -> None:
    """Train on SHARDS (one folder a corpus) into the folder OUT."""
    set_threads()
    params, seed = load("syncnet", SyncNetParams), load("seed", int)
    mouth = load_entry("crop", "mouth", MouthParams)
    out.mkdir(parents=True, exist_ok=True)
    if params.checkpoint:
        about = {"from": Path(params.checkpoint).name, "view": params.view, "mouth": asdict(mouth)}
        save(load_syncnet(Path(params.checkpoint)), out / "model.safetensors", about)
        write_curves(out / "curves.csv", [])
        return
    samples = SampleCache(ShardSet([join(shards, corpus) for corpus in params.corpora], TRAIN_SPLITS))
    torch.manual_seed(seed)
    model = SyncNet(params.model)
    with scratch("syncnet", params, seed, samples.shards.digest) as folder:
        state = fit(SyncNetTask(model, samples, params, seed=seed), folder=folder, label="syncnet")
        save(model, out / "model.safetensors", {"view": params.view, "mouth": asdict(mouth), "seed": seed})
        write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
