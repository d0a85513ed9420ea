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
from synctalk.models.wav2lip_expert import Wav2LipExpert
from synctalk.params.read import load, load_entry
from synctalk.runtime.jobs import content_key
from synctalk.shards.read import ShardSet
from synctalk.training.data import TRAIN_SPLITS, SampleCache
from synctalk.training.loop import write_curves
from synctalk.training.networks import NetworkParams
from synctalk.training.processes import begin_training, leads, shared_scratch
from synctalk.training.supervisor import Supervisor, require_mouth
from synctalk.training.talking import MethodParams, TrainParams, begin_generator, train_generator
from synctalk.training.wav2lip_expert import Wav2LipSupervisor


def main(
    method: str,
    supervisor: Path,
    shards: str,
    tokenizer: Path,
    out: Path,
    start: Annotated[Path | None, typer.Option(help="Model folder to begin with.")] = None,
) -> None:
    """Train METHOD (a key of `methods`) on SHARDS, watched by the network of the folder SUPERVISOR, into OUT."""
    begin_training()
    entry = load_entry("methods", method, MethodParams)
    params, config = load_entry("train", entry.network, TrainParams), load("generator", NetworkParams)
    seed, crop = load("generator_seed", int), load("mouth_crop", int)
    samples = SampleCache(ShardSet([shards], TRAIN_SPLITS))
    network = load_supervisor(supervisor / "model.safetensors")
    model, discriminator = begin_generator(config, entry.network, network, start, seed=seed)
    if not isinstance(network, Wav2LipExpert):
        require_mouth(supervisor / "model.safetensors", crop, load_entry("crop", "mouth", MouthParams))
    watcher = Wav2LipSupervisor(network) if isinstance(network, Wav2LipExpert) else Supervisor(network, samples, crop)
    began_with = [*content_key(supervisor, start), samples.shards.digest]
    with shared_scratch(f"train-{method}", params, entry, config, seed, began_with) as folder:
        state = train_generator(
            model,
            discriminator,
            watcher,
            samples,
            Tokenizer.load(tokenizer),
            entry,
            params,
            held_out=SampleCache(ShardSet([shards], ["val"])) if params.validation.every else None,
            crop=crop,
            seed=seed,
            folder=folder,
            label=f"train {method}",
        )
        if leads():
            out.mkdir(parents=True, exist_ok=True)
            save(model, out / "model.safetensors", {"method": method, "seed": seed})
            won, lost = state.modules["duel"].get_buffer("times").tolist()
            about = {"method": method, "seed": seed, "times_won": won, "times_lost": lost}
            save(discriminator, out / "discriminator.safetensors", about)
            write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
