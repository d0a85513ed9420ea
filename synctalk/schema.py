"""The whole shape of params.yaml, section by section.

Importing it imports everything, so stages load sections instead.
"""

from __future__ import annotations

import re
from pathlib import Path

from synctalk.corpora.layouts import READERS
from synctalk.corpora.manifest import is_manifest, require_current, require_depends_on
from synctalk.corpora.params import CorpusParams, IndexParams
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.errors import UserError
from synctalk.evaluation.params import EvaluateParams
from synctalk.faces.extract import CropParams
from synctalk.features.tokens import TokenizerParams
from synctalk.generation.corpus import GenerateParams
from synctalk.metrics.shift import VSHIFT
from synctalk.models.generator import NetworkParams
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.params.read import PARAMS, RECIPES, SYNTHETIC, read_yaml, validate
from synctalk.params.rows import whole_section
from synctalk.params.section import section
from synctalk.report.report import ReportParams
from synctalk.screening.params import ScreenerParams, ScreenParams
from synctalk.shards.corpus import ShardParams
from synctalk.tables.external import ExternalParams
from synctalk.training.conformer import ConformerParams
from synctalk.training.finetune import FinetuneParams
from synctalk.training.methods import MethodParams, TrainParams, phase_at
from synctalk.training.networks import NETWORKS
from synctalk.training.observer import ObserverParams
from synctalk.training.optim import AdamEntry
from synctalk.training.pretrain import PretrainSection
from synctalk.training.probe import ProbeParams
from synctalk.training.syncnet import SyncNetParams
from synctalk.training.wav2lip_expert import WINDOW, Wav2LipExpertParams

SCREENED_BY = ("lrs2", "lrs3", "voxceleb2")
"""Corpora that the screener can learn from: those whose files dvc.yaml has among its dependencies."""


@section
class Params:
    """All of params.yaml."""

    scale: str
    variant: str
    """Whose figures stand in metrics.json: a key of `methods`."""
    seed: int
    """Of readers, judges and Wav2Lip's expert."""
    generator_seed: int
    """Of the start and of every method, so that another one is judged by the same judges."""
    mouth_crop: int
    """Side of the lip readers' input, cut from `crop.mouth.size`: 88 of 96 in the paper."""
    corpora: dict[str, CorpusParams]
    index: IndexParams
    crop: CropParams
    screener: ScreenerParams
    screen: ScreenParams
    shards: ShardParams
    adam: dict[str, AdamEntry]
    tokenizer: TokenizerParams
    av_syncnet: LipReaderConfig
    pretrain: PretrainSection
    probe: ProbeParams
    finetune: dict[str, FinetuneParams]
    syncnet: SyncNetParams
    observers: dict[str, ObserverParams]
    conformer: ConformerParams
    wav2lip_expert: Wav2LipExpertParams
    generator: NetworkParams
    start: TrainParams
    train: dict[str, TrainParams]
    methods: dict[str, MethodParams]
    external: ExternalParams
    generate: GenerateParams
    evaluate: EvaluateParams
    report: ReportParams


def check(path: Path = PARAMS) -> Params:
    """Read all of params.yaml, and check what one section says of another.

    Raises:
        UserError: a key is unknown, missing or wrong, or names what is not there.
    """
    data = read_yaml(path)
    validate(data.get("adam"), dict[str, AdamEntry], "adam")  # before the rows that name its entries
    params = validate({name: whole_section(data, name) for name in data}, Params, "")
    if params.variant not in params.methods:
        raise UserError(path, f"variant {params.variant!r} is no method", f"take one of {', '.join(params.methods)}")
    supervisors = [*(f"models/finetune/{name}" for name in params.finetune), "models/experts/wav2lip"]
    for name, method in params.methods.items():
        for key, value, choice in (
            ("network", method.network, [network for network in params.train if network in NETWORKS]),
            ("supervisor", method.supervisor, supervisors),
        ):
            if value not in choice:
                mend = f"take one of {', '.join(choice)}"
                raise UserError(path, f"methods.{name}.{key} {value!r} is none that the pipeline makes", mend)
        if method.weights.sync and params.train[method.network].window_frames < WINDOW:
            key = f"train.{method.network}.window_frames"
            raise UserError(path, f"{key} is below {WINDOW}, which Wav2Lip's expert sees at a time", "raise it")
        if method.weights.adversarial and params.train[method.network].adversary is None:
            mend = f"give it, or let methods.{name}.weights.adversarial be 0"
            raise UserError(path, f"train.{method.network}.adversary is missing", mend)
    taken = ["ground_truth", *params.methods]
    for name in params.external.methods:
        if not re.fullmatch(r"\w[\w-]*", name):
            raise UserError(path, f"external.methods: {name!r} is no name", "take letters, digits, - and _")
        if name in taken:
            raise UserError(path, f"external.methods: {name!r} is there already", "call it otherwise")
        taken.append(name)
    for name in params.external.videos:
        if name not in params.external.methods:
            raise UserError(path, f"external.videos.{name} is none of external.methods", "add it there")
    for recipe in (params.start, *params.train.values()):
        phase_at(recipe.phases, 0)
    for name, entry in params.observers.items():
        if not entry.checkpoint and entry.recipe is None:
            raise UserError(path, f"observers.{name} has neither a checkpoint nor a recipe", "set one of the two")
    if not params.conformer.checkpoint and params.conformer.recipe is None:
        raise UserError(path, "conformer has neither a checkpoint nor a recipe", "set one of the two")
    if params.conformer.front_end not in params.observers:
        raise UserError(path, f"conformer.front_end {params.conformer.front_end!r} is no observer")
    for corpus, observer in params.evaluate.observers.items():
        if observer not in params.observers:
            raise UserError(path, f"evaluate.observers.{corpus} {observer!r} is no observer")
    if params.mouth_crop > params.crop.mouth.size:
        raise UserError(path, f"mouth_crop {params.mouth_crop} is larger than crop.mouth.size {params.crop.mouth.size}")
    if params.generator.image.face_size != params.crop.face_size:
        raise UserError(
            path,
            f"the generator makes faces of {params.generator.image.face_size} pixels, crop.face_size is "
            f"{params.crop.face_size}",
        )
    screen = params.screen
    if not 0 <= screen.max_offset_frames <= screen.max_repair_frames <= VSHIFT:
        raise UserError(
            path,
            f"screen.max_repair_frames {screen.max_repair_frames} is not between max_offset_frames "
            f"{screen.max_offset_frames} and {VSHIFT}, the farthest shift that is compared",
        )
    if screen.min_windows <= screen.max_repair_frames:
        raise UserError(path, f"screen.min_windows {screen.min_windows} is not above max_repair_frames", "raise it")
    if params.screener.net.checkpoint and params.screener.net.checkpoint == params.syncnet.checkpoint:
        raise UserError(path, "screener.net.checkpoint is the judge's", "take another net: a judge chooses no data")
    for key, expert in (("screener.net", params.screener.net), ("syncnet", params.syncnet)):
        if not expert.checkpoint and expert.view in ("frame", "tracked"):
            raise UserError(path, f"{key}.view {expert.view!r} needs a checkpoint", "or train on face or mouth")
    if params.screener.seed == params.seed:
        raise UserError(path, "screener.seed is that of the judge", "take another: a judge chooses no data")
    for key, named in _named_corpora(params).items():
        known = SCREENED_BY if key.startswith("screener") else tuple(params.corpora)
        for name in named:
            if name not in known:
                raise UserError(path, f"{key}: {name!r} is no corpus for it", f"take of {', '.join(known)}")
    for name, source in params.corpora.items():
        require_depends_on(name, source)
        if source.layout not in READERS:
            mend = f"take one of {', '.join(READERS)}"
            raise UserError(path, f"corpora.{name}.layout {source.layout!r} is unknown", mend)
    return params


def _named_corpora(params: Params) -> dict[str, tuple[str, ...]]:
    """Key that names corpora -> those that it names."""
    named = {
        "tokenizer.corpora": params.tokenizer.corpora,
        "screener.net.corpora": params.screener.net.corpora,
        "pretrain.corpora": params.pretrain.corpora,
        "syncnet.corpora": params.syncnet.corpora,
    }
    named |= {f"finetune.{name}.corpora": entry.corpora for name, entry in params.finetune.items()}
    recipes = {f"observers.{name}": entry.recipe for name, entry in params.observers.items()}
    found = {**recipes, "conformer": params.conformer.recipe}
    return named | {f"{key}.recipe.corpora": recipe.corpora for key, recipe in found.items() if recipe is not None}


def check_recipes(path: Path = RECIPES) -> None:
    """Read the recipes of the look-alikes.

    Raises:
        UserError: a key is unknown, missing or wrong.
    """
    validate(read_yaml(path), dict[str, SyntheticCorpus], "", path)


def require_inputs(params: Params) -> None:
    """Check that what the user brings lies where params.yaml says: corpora, weights of detectors and of judges.

    Raises:
        UserError: the first that does not.
    """
    brought = {}
    for name, corpus in params.corpora.items():
        if not Path(corpus.root).is_relative_to(SYNTHETIC):
            brought[f"corpora.{name}.root"] = corpus.root
        if corpus.detector != "tracks":
            brought[f"crop.detectors.{corpus.detector}.weights"] = params.crop.detectors[corpus.detector].weights
    published = {f"observers.{name}.checkpoint": entry.checkpoint for name, entry in params.observers.items()}
    published["syncnet.checkpoint"] = params.syncnet.checkpoint
    published["conformer.checkpoint"] = params.conformer.checkpoint
    published["screener.net.checkpoint"] = params.screener.net.checkpoint
    published["wav2lip_expert.checkpoint"] = params.wav2lip_expert.checkpoint
    brought |= {f"external.videos.{name}": folder for name, folder in params.external.videos.items()}
    brought |= {key: path for key, path in published.items() if path}
    for key, path in brought.items():
        if not path:
            raise UserError(PARAMS, f"{key} is empty", "give the path of the file")
        if not Path(path).exists():
            raise UserError(path, f"is not there ({key} in params.yaml)", "bring it, or mend the key")
    for name, corpus in params.corpora.items():
        if is_manifest(corpus.depends_on):
            require_current(name, corpus, Path(corpus.root))
