"""Stage: shards -> the generator that all methods begin with: reconstruction alone (eq. 7)."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_av_syncnet
from synctalk.features.tokens import Tokenizer
from synctalk.models.generator import NetworkParams
from synctalk.params.read import load
from synctalk.runtime.jobs import content_key
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.training.fit import fit
from synctalk.training.generator import GeneratorTask, begin_generator
from synctalk.training.loop import write_curves
from synctalk.training.methods import RECONSTRUCTION_ONLY, TrainParams
from synctalk.training.processes import begin_training, leads, shared_scratch


def main(reader: Path, shards: str, tokenizer: Path, out: Path) -> None:
    """Train the common start on SHARDS, with the audio encoder of READER, into the folder OUT."""
    begin_training()
    params, config = load("start", TrainParams), load("generator", NetworkParams)
    seed, crop = load("generator_seed", int), load("mouth_crop", int)
    encoder = load_av_syncnet(reader / "model.safetensors")
    model, _ = begin_generator(config, RECONSTRUCTION_ONLY.network, encoder, None, seed=seed)
    samples = SampleCache(ShardSet([shards], TRAIN_SPLITS))
    with shared_scratch("start", params, config, seed, content_key(reader), samples.shards.digest) as folder:
        task = GeneratorTask(
            model,
            samples,
            Tokenizer.load(tokenizer),
            RECONSTRUCTION_ONLY,
            params,
            held_out=SampleCache(ShardSet([shards], ["val"])) if params.validation.every else None,
            crop=crop,
            seed=seed,
        )
        state = fit(task, folder=folder, label="start")
        if leads():
            out.mkdir(parents=True, exist_ok=True)
            save(model, out / "model.safetensors", {"method": "start", "seed": seed})
            write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
