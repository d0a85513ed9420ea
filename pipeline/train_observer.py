"""Stage: shards -> an observer (a lip reader that judges), or a published one read from its file."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.jobs import content_key, scratch
from synctalk.params import load, load_entry
from synctalk.shards.read import ShardSet
from synctalk.training.data import TRAIN_SPLITS, SampleCache
from synctalk.training.loop import set_threads, write_curves
from synctalk.training.observer import ObserverParams, train_observer
from synctalk.training.text import Tokenizer


def main(name: str, shards: Path, tokenizer: Path, out: Path) -> None:
    """Train the observer NAME on SHARDS (one folder a corpus) into the folder OUT."""
    set_threads()
    params = load_entry("observers", name, ObserverParams)
    seed, crop = load("seed", int), load("mouth_crop", int)
    folders = [shards / corpus for corpus in params.corpora]
    with scratch(f"observer-{name}", params, seed, content_key(tokenizer, *folders)) as folder:
        samples = SampleCache(ShardSet(folders, TRAIN_SPLITS))
        observer = train_observer(samples, Tokenizer.load(tokenizer), params, crop=crop, seed=seed, folder=folder)
        out.mkdir(parents=True, exist_ok=True)
        save(observer.model, out / "model.safetensors", {"name": name, "seed": seed + params.seed})
        write_curves(out / "curves.csv", observer.curves)


if __name__ == "__main__":
    run(main)
