"""Stage: videos of a method (or the real ones), judges -> scores of every clip, their means, and 95 % intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.stage import run
from synctalk.checkpoints.typed import load_conformer, load_lip_reader, load_syncnet
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import read_clips
from synctalk.evaluation.params import EvaluateParams
from synctalk.evaluation.score import (
    ConformerJudge,
    Judges,
    LipJudge,
    SyncJudge,
    score_takes,
    summarise,
    takes_of,
    write_offsets,
    write_scores,
)
from synctalk.faces.extract import CropParams
from synctalk.jobs import write_json
from synctalk.models.sync_scorer import SyncScorer
from synctalk.params import load, load_entry
from synctalk.shards.read import ShardSet
from synctalk.training.processes import set_threads
from synctalk.training.sync_expert import SyncExpertParams
from synctalk.training.text import CONFORMER_FILES, Tokenizer, Units


def main(
    method: str,
    index: Path,
    shards: Path,
    judges: Path,
    out: Path,
    results: Path,
    generated: Annotated[
        Path | None, typer.Option(help="Folder of generated videos; without it the real ones.")
    ] = None,
) -> None:
    """Score METHOD on the test clips of the roles lrs2 and lrs3: scores to OUT, means and intervals to RESULTS."""
    set_threads()
    params, crop = load("evaluate", EvaluateParams), load("crop", CropParams)
    view = load("sync_expert", SyncExpertParams).view
    net = SyncScorer(load_syncnet(judges / "sync_expert" / "model.safetensors"), params.sync_dtype)
    sync = SyncJudge(net, view, params.jpeg)
    weights, model, units = (judges / "conformer" / file for file in CONFORMER_FILES)
    lips_crop = load("mouth_crop", int)
    third = ConformerJudge(load_conformer(weights), Units.load(model, units), lips_crop, params.joint_beam)
    figures = {}
    for corpus, observer in params.observers.items():
        root = Path(load_entry("corpora", corpus, CorpusParams).root)
        takes = takes_of(
            root,
            read_clips(index / corpus / "clips.parquet"),
            ShardSet([shards / corpus], ["test"]),
            generated / corpus if generated else None,
        )
        reader = load_lip_reader(judges / observer / "model.safetensors")
        pieces = Tokenizer.load(judges / observer / "tokenizer.model")
        panel = Judges(sync, LipJudge(reader, pieces, lips_crop, params.beam), third)
        scores = score_takes(
            takes, panel, face_size=crop.face_size, mouth_size=crop.mouth.size, label=f"{method} {corpus}"
        )
        write_scores(out / f"{corpus}.parquet", scores)
        write_offsets(results / f"offsets_{corpus}.csv", scores)
        figures[corpus] = summarise(scores, params.wer_names[corpus])
    write_json(results / "intervals.json", {c: {m: vars(i) for m, i in f.items()} for c, f in figures.items()})
    write_json(results / "metrics.json", {c: {m: round(i.value, 4) for m, i in f.items()} for c, f in figures.items()})


if __name__ == "__main__":
    run(main)
