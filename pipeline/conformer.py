"""Stage: shards, an observer's front end -> the Conformer (judge of WER3), or a published one; its row of table 2."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pipeline.stage import required_recipe, run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_lip_reader
from synctalk.evaluation.params import EvaluateParams
from synctalk.evaluation.readers import reader_figures, score_conformer, write_readings
from synctalk.faces.align import MouthParams
from synctalk.features.tokens import Units
from synctalk.params.read import load, load_entry
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import content_key, scratch, write_json
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.conformer import (
    ConformerParams,
    TrainedConformer,
    published_conformer,
    train_conformer,
)
from synctalk.training.loop import write_curves


def trained(params: ConformerParams, shards: str, tokenizer: Path, front_end: Path) -> TrainedConformer:
    """The Conformer that the section asks for."""
    if params.checkpoint:
        return published_conformer(params)
    recipe = required_recipe("conformer", params.recipe)
    seed, crop = load("seed", int), load("mouth_crop", int)
    samples = SampleCache(ShardSet([join(shards, corpus) for corpus in recipe.corpora], TRAIN_SPLITS))
    weights = front_end / "model.safetensors"
    with scratch("conformer", params, seed, crop, content_key(tokenizer, weights), samples.shards.digest) as folder:
        units = Units.of_tokenizer(tokenizer.read_bytes())
        return train_conformer(samples, units, load_lip_reader(weights), recipe, crop=crop, seed=seed, folder=folder)


def main(shards: str, tokenizer: Path, front_end: Path, out: Path, readings: Path, metrics: Path) -> None:
    """Train the Conformer on SHARDS, behind the observer FRONT_END, into the folder OUT.

    READINGS has every test clip of the corpus lrs2, METRICS their figures.
    """
    set_threads()
    crop = load("mouth_crop", int)
    judge = trained(load("conformer", ConformerParams), shards, tokenizer, front_end)
    out.mkdir(parents=True, exist_ok=True)
    about = {"name": "conformer", "crop": crop, "mouth": asdict(load_entry("crop", "mouth", MouthParams))}
    save(judge.model, out / "model.safetensors", about)
    judge.units.write(out)
    write_curves(out / "curves.csv", judge.curves)
    test = SampleCache(ShardSet([join(shards, "lrs2")], ["test"]))
    read = score_conformer(judge.model, judge.units, test, crop=crop, beam=load("evaluate", EvaluateParams).joint_beam)
    write_readings(readings, read)
    write_json(metrics, reader_figures(read))


if __name__ == "__main__":
    run(main)
