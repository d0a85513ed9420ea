"""What every row of the tables is scored by: judges, sizes and names, as params.yaml has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synctalk.checkpoints.load import metadata_of
from synctalk.checkpoints.typed import load_conformer, load_lip_reader, load_syncnet
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import Clip, read_clips
from synctalk.evaluation.params import EvaluateParams
from synctalk.evaluation.score import (
    ClipScore,
    ConformerJudge,
    Judges,
    LipJudge,
    SyncJudge,
    summarise,
    write_offsets,
    write_scores,
)
from synctalk.faces.extract import CropParams
from synctalk.features.tokens import CONFORMER_FILES, Tokenizer, Units
from synctalk.models.sync_scorer import SyncScorer
from synctalk.params.read import load, load_entry
from synctalk.runtime.jobs import write_json
from synctalk.shards.read import ShardSet


@dataclass(frozen=True)
class RoleClips:
    """Test clips of one role: the corpus' folder, its clips, and the samples."""

    root: Path
    clips: Sequence[Clip]
    shards: ShardSet


@dataclass(frozen=True)
class Bench:
    """How clips are scored.

    Attributes:
        params: section `evaluate`.
        face_size, mouth_size: sides of the regions that are cut.
        crop: side of what the lip readers see of the mouth.
        sync, conformer: judges of all roles.
        folder: of the judges.
    """

    params: EvaluateParams
    face_size: int
    mouth_size: int
    crop: int
    sync: SyncJudge
    conformer: ConformerJudge
    folder: Path

    @property
    def roles(self) -> tuple[str, ...]:
        """Corpora that are scored."""
        return tuple(self.params.observers)

    def judges(self, role: str) -> Judges:
        """The judges of one role: its own observer, and those of all."""
        observer = self.folder / self.params.observers[role]
        pieces = Tokenizer.load(observer / "tokenizer.model")
        reader = load_lip_reader(observer / "model.safetensors")
        return Judges(self.sync, LipJudge(reader, pieces, self.crop, self.params.beam), self.conformer)

    def write(self, scores: Mapping[str, Sequence[ClipScore]], out: Path, results: Path) -> None:
        """Write scores of a method by role: OUT/<role>.parquet and RESULTS/metrics.json, intervals.json, and
        offsets_<role>.csv, which a role without scores has too, without counts.
        """
        for role in self.roles:
            if role in scores:
                write_scores(out / f"{role}.parquet", scores[role])
            write_offsets(results / f"offsets_{role}.csv", scores.get(role, ()))
        figures = {role: summarise(found, self.params.wer_names[role]) for role, found in scores.items()}
        write_json(results / "intervals.json", {c: {m: vars(i) for m, i in f.items()} for c, f in figures.items()})
        rounded = {c: {m: round(i.value, 4) for m, i in f.items()} for c, f in figures.items()}
        write_json(results / "metrics.json", rounded)


def load_bench(judges: Path) -> Bench:
    """The bench of params.yaml with the judges in the folder `judges`.

    Raises:
        UserError: params.yaml or a judge is missing or broken.
    """
    params, sizes, crop = load("evaluate", EvaluateParams), load("crop", CropParams), load("mouth_crop", int)
    judge = judges / "syncnet" / "model.safetensors"
    net = SyncScorer(load_syncnet(judge), params.sync_dtype)
    weights, model, units = (judges / "conformer" / file for file in CONFORMER_FILES)
    return Bench(
        params=params,
        face_size=sizes.face_size,
        mouth_size=sizes.mouth.size,
        crop=crop,
        sync=SyncJudge(net, metadata_of(judge)["view"], params.jpeg),
        conformer=ConformerJudge(load_conformer(weights), Units.load(model, units), crop, params.joint_beam),
        folder=judges,
    )


def load_test_set(role: str, index: Path, shards: Path) -> RoleClips:
    """The test clips of a role, from the folders of all indexes and all shards.

    Raises:
        UserError: one is missing or broken.
    """
    root = Path(load_entry("corpora", role, CorpusParams).root)
    return RoleClips(root, read_clips(index / role / "clips.parquet"), ShardSet([shards / role], ["test"]))
