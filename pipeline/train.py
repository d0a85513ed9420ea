"""Stage: shards, supervisor and the common start -> the generator of one method (eqs. 7-13); or that start itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_av_syncnet
from synctalk.jobs import content_key, scratch
from synctalk.models.synctalklip import SyncTalklipConfig
from synctalk.params import load, load_entry
from synctalk.shards.read import ShardSet
from synctalk.training.data import TRAIN_SPLITS, SampleCache
from synctalk.training.loop import set_threads, write_curves
from synctalk.training.supervisor import Supervisor
from synctalk.training.talking import MethodParams, TrainParams, begin_generator, train_generator
from synctalk.training.text import Tokenizer


def main(
    method: str,
    readers: Path,
    shards: str,
    tokenizer: Path,
    out: Path,
    start: Annotated[Path | None, typer.Option(help="Model folder to begin with.")] = None,
) -> None:
    """Train METHOD (a key of `methods`) on SHARDS, watched by a reader of the folder READERS, into the folder OUT."""
    set_threads()
    params, entry = load("train", TrainParams), load_entry("methods", method, MethodParams)
    config, seed, crop = load("generator", SyncTalklipConfig), load("seed", int), load("mouth_crop", int)
    reader = readers / entry.supervisor / "model.safetensors"
    samples = SampleCache(ShardSet([shards], TRAIN_SPLITS))
    supervisor = Supervisor(load_av_syncnet(reader), samples, crop)
    model, discriminator = begin_generator(config, supervisor.model, start, seed=seed)
    began_with = [*content_key(reader, start), samples.shards.digest]
    with scratch(f"train-{method}", params, entry, config, seed, began_with) as folder:
        state = train_generator(
            model,
            discriminator,
            supervisor,
            samples,
            Tokenizer.load(tokenizer),
            entry,
            params,
            crop=crop,
            seed=seed,
            folder=folder,
            label=f"train {method}",
        )
        out.mkdir(parents=True, exist_ok=True)
        save(model, out / "model.safetensors", {"method": method, "seed": seed})
        save(discriminator, out / "discriminator.safetensors", {"method": method, "seed": seed})
        write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
