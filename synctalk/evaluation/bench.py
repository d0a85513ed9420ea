"""What every row of the tables is scored by: judges, sizes and names, as params.yaml has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synctalk.checkpoints.load import metadata_of
from synctalk.checkpoints.typed import load_conformer, load_lip_reader, load_syncnet
from synctalk.evaluation.judges.conformer import ConformerJudge
from synctalk.evaluation.judges.lip_reader import LipJudge
from synctalk.evaluation.judges.panel import Judges
from synctalk.evaluation.judges.syncnet import SyncJudge
from synctalk.evaluation.params import EvaluateParams
from synctalk.evaluation.scores import ClipScore, summarise, write_offsets, write_scores
from synctalk.evaluation.videos.corpus import ClipSetup
from synctalk.faces.extract import CropParams
from synctalk.features.tokens import CONFORMER_FILES, Tokenizer, Units
from synctalk.models.sync_scorer import SyncScorer
from synctalk.params.read import load
from synctalk.runtime.jobs import write_json


@dataclass(frozen=True)
class Bench:
    """How clips are scored.

    Attributes:
        params: section `evaluate`.
        setup: how clips are prepared.
        crop: side of what the lip readers see of the mouth.
        sync, conformer: judges of all corpora.
        folder: of the judges.
    """

    params: EvaluateParams
    setup: ClipSetup
    crop: int
    sync: SyncJudge
    conformer: ConformerJudge
    folder: Path

    @property
    def corpora(self) -> tuple[str, ...]:
        """Corpora that are scored."""
        return tuple(self.params.observers)

    def judges(self, corpus: str) -> Judges:
        """The judges of one corpus: its own observer, and those of all."""
        observer = self.folder / self.params.observers[corpus]
        pieces = Tokenizer.load(observer / "tokenizer.model")
        reader = load_lip_reader(observer / "model.safetensors")
        return Judges(self.sync, LipJudge(reader, pieces, self.crop, self.params.beam), self.conformer)

    def write(self, scores: Mapping[str, Sequence[ClipScore]], out: Path, results: Path) -> None:
        """Write scores of a method by corpus: OUT/<corpus>.parquet and RESULTS/metrics.json, intervals.json, and
        offsets_<corpus>.csv, which a corpus without scores has too, without counts.
        """
        for corpus in self.corpora:
            if corpus in scores:
                write_scores(out / f"{corpus}.parquet", scores[corpus])
            write_offsets(results / f"offsets_{corpus}.csv", scores.get(corpus, ()))
        figures = {corpus: summarise(found, self.params.wer_names[corpus]) for corpus, found in scores.items()}
        write_json(results / "intervals.json", {c: {m: vars(i) for m, i in f.items()} for c, f in figures.items()})
        rounded = {c: {m: round(i.value, 4) for m, i in f.items()} for c, f in figures.items()}
        write_json(results / "metrics.json", rounded)


def load_bench(judges: Path) -> Bench:
    """The bench of params.yaml with the judges in the folder `judges`.

    Raises:
        UserError: params.yaml or a judge is missing or broken.
    """
    params, sizes, crop = load("evaluate", EvaluateParams), load("crop", CropParams), load("mouth_crop", int)
    weights = judges / "syncnet" / "model.safetensors"
    net, view = SyncScorer(load_syncnet(weights), params.sync_dtype), metadata_of(weights)["view"]
    conformer, model, units = (judges / "conformer" / file for file in CONFORMER_FILES)
    return Bench(
        params=params,
        setup=ClipSetup(sizes.face_size, sizes.mouth.size, view, net.config, params.jpeg),
        crop=crop,
        sync=SyncJudge(net, view, params.jpeg),
        conformer=ConformerJudge(load_conformer(conformer), Units.load(model, units), crop, params.joint_beam),
        folder=judges,
    )
