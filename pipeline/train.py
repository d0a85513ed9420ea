"""Stage: shards, supervisor and the common start -> the generator of one method (eqs. 7-13)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_supervisor
from synctalk.faces.align import MouthParams
from synctalk.features.tokens import Tokenizer
from synctalk.models.generator import NetworkParams
from synctalk.params.read import load, load_entry
from synctalk.runtime.jobs import content_key
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.training.adversary import Adversary
from synctalk.training.fit import fit
from synctalk.training.generator import GeneratorTask, begin_generator
from synctalk.training.loop import write_curves
from synctalk.training.methods import MethodParams, TrainParams
from synctalk.training.processes import begin_training, leads, shared_scratch
from synctalk.training.reader_supervisor import require_mouth
from synctalk.training.supervisors import SUPERVISORS, Supervised


def main(
    method: str,
    supervisor: Path,
    shards: str,
    tokenizer: Path,
    out: Path,
    start: Annotated[Path | None, typer.Option(help="Model folder to begin with.")] = None,
) -> None:
    """Train METHOD (a key of `methods`) on SHARDS, supervised by the network of the folder SUPERVISOR, into OUT."""
    begin_training()
    entry = load_entry("methods", method, MethodParams)
    params, config = load_entry("train", entry.network, TrainParams), load("generator", NetworkParams)
    seed, crop = load("generator_seed", int), load("mouth_crop", int)
    samples = SampleCache(ShardSet([shards], TRAIN_SPLITS))
    network = load_supervisor(supervisor / "model.safetensors")
    kind = SUPERVISORS[type(network)]
    if kind.sees_mouths:
        require_mouth(supervisor / "model.safetensors", crop, load_entry("crop", "mouth", MouthParams))
    model, discriminator = begin_generator(config, entry.network, network, start, seed=seed)
    steps, micro_batches = params.optim.steps, params.optim.micro_batches
    began_with = [*content_key(supervisor, start), samples.shards.digest]
    with shared_scratch(f"train-{method}", params, entry, config, seed, began_with) as folder:
        task = GeneratorTask(
            model,
            samples,
            Tokenizer.load(tokenizer),
            entry,
            params,
            supervisors=[kind.begin(network, Supervised(model, samples, entry, params, crop))],
            adversary=Adversary(discriminator, params.adversary, steps, micro_batches) if params.adversary else None,
            held_out=SampleCache(ShardSet([shards], ["val"])) if params.validation.every else None,
            crop=crop,
            seed=seed,
        )
        state = fit(task, folder=folder, label=f"train {method}")
        if leads():
            out.mkdir(parents=True, exist_ok=True)
            about = {"method": method, "seed": seed}
            save(model, out / "model.safetensors", about)
            if params.adversary:
                save(discriminator, out / "discriminator.safetensors", about)
            write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
