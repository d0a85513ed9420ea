"""Stage: shards -> an observer (a lip reader that judges), or a published one read from its file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.stage import required_recipe, run
from synctalk.checkpoints import save
from synctalk.checkpoints.observer import Observer, published_observer
from synctalk.faces.align import MouthParams
from synctalk.features.tokens import Tokenizer
from synctalk.params.read import load, load_entry
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import content_key, scratch
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.loop import write_curves
from synctalk.training.observer import ObserverParams, train_observer


def write_observer(observer: Observer, about: dict[str, Any], out: Path) -> None:
    """Write the reader, its word pieces and its curves to the folder OUT."""
    out.mkdir(parents=True, exist_ok=True)
    save(observer.model, out / "model.safetensors", about)
    (out / "tokenizer.model").write_bytes(observer.tokenizer.model)
    write_curves(out / "curves.csv", observer.curves)


def main(name: str, shards: str, tokenizer: Path, out: Path) -> None:
    """Train the observer NAME on SHARDS (one folder a corpus) into the folder OUT."""
    set_threads()
    params, seed, crop = load_entry("observers", name, ObserverParams), load("seed", int), load("mouth_crop", int)
    about = {"name": name, "crop": crop, "mouth": asdict(load_entry("crop", "mouth", MouthParams))}
    if params.checkpoint:
        write_observer(published_observer(Path(params.checkpoint)), about, out)
        return
    recipe = required_recipe(f"observers.{name}", params.recipe)
    samples = SampleCache(ShardSet([join(shards, corpus) for corpus in recipe.corpora], TRAIN_SPLITS))
    with scratch(f"observer-{name}", params, seed, crop, content_key(tokenizer), samples.shards.digest) as folder:
        pieces = Tokenizer.load(tokenizer)
        observer = train_observer(samples, pieces, recipe, crop=crop, seed=seed, folder=folder)
        write_observer(observer, about, out)


if __name__ == "__main__":
    run(main)
