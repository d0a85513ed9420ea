"""Stage: shards -> Wav2Lip's sync expert, which supervises its generator, or the published one read from its file."""

from __future__ import annotations

from pathlib import Path

import torch

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_wav2lip_expert
from synctalk.models.wav2lip_expert import Wav2LipExpert
from synctalk.params.read import load
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import scratch
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.training.fit import fit
from synctalk.training.loop import write_curves
from synctalk.training.wav2lip_expert import Wav2LipExpertParams, Wav2LipExpertTask


def main(shards: str, out: Path) -> None:
    """Train on SHARDS into the folder OUT."""
    set_threads()
    params, seed = load("wav2lip_expert", Wav2LipExpertParams), load("seed", int)
    out.mkdir(parents=True, exist_ok=True)
    if params.checkpoint:
        expert = load_wav2lip_expert(Path(params.checkpoint))
        save(expert, out / "model.safetensors", {"from": Path(params.checkpoint).name})
        write_curves(out / "curves.csv", [])
        return
    samples = SampleCache(ShardSet([shards], TRAIN_SPLITS))
    torch.manual_seed(seed)
    model = Wav2LipExpert(params.model)
    with scratch("wav2lip_expert", params, seed, samples.shards.digest) as folder:
        state = fit(Wav2LipExpertTask(model, samples, params, seed=seed), folder=folder, label="wav2lip_expert")
        save(model, out / "model.safetensors", {"seed": seed})
        write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
