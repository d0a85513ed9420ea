"""Stage: pre-trained AV-HuBERT -> lip reader, or AV-SyncNet (eqs. 4-6), and its figures for table 2."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.evaluation.judges.readers import reader_figures, score_reader, write_readings
from synctalk.evaluation.params import EvaluateParams
from synctalk.faces.align import MouthParams
from synctalk.features.tokens import Tokenizer
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.params.read import load, load_entry
from synctalk.runtime.jobs import content_key, write_json
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.finetune import FinetuneParams, FinetuneTask, begin_reader
from synctalk.training.fit import fit
from synctalk.training.loop import write_curves
from synctalk.training.processes import begin_training, leads, shared_scratch


def main(name: str, start: Path, shards: str, tokenizer: Path, out: Path, readings: Path, metrics: Path) -> None:
    """Fine-tune the reader NAME from START on SHARDS into the folder OUT; READINGS (parquet) has every test clip,
    METRICS their figures.
    """
    begin_training()
    params, config = load_entry("finetune", name, FinetuneParams), load("av_syncnet", LipReaderConfig)
    seed, crop = load("seed", int), load("mouth_crop", int)
    pieces = Tokenizer.load(tokenizer)
    folders = [join(shards, corpus) for corpus in params.corpora]
    samples = SampleCache(ShardSet(folders, TRAIN_SPLITS))
    model = begin_reader(config, params, start, len(pieces), seed=seed)
    mouth = load_entry("crop", "mouth", MouthParams)
    with shared_scratch(f"finetune-{name}", params, config, seed, content_key(start, tokenizer)) as folder:
        task = FinetuneTask(model, samples, pieces, params, crop=crop, seed=seed)
        state = fit(task, folder=folder, label=f"finetune {name}")
        if leads():
            out.mkdir(parents=True, exist_ok=True)
            save(model, out / "model.safetensors", {"name": name, "seed": seed, "crop": crop, "mouth": asdict(mouth)})
            write_curves(out / "curves.csv", state.curves)
    if not leads():
        return
    test = SampleCache(ShardSet(folders, ["test"]))
    read = score_reader(model, pieces, test, crop=crop, beam=load("evaluate", EvaluateParams).beam)
    write_readings(readings, read)
    write_json(metrics, reader_figures(read))


if __name__ == "__main__":
    run(main)
