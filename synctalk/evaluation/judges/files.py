"""Judges and protocol of `synctalk score`, from the files and words that a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from synctalk.checkpoints.importing import file_sha256
from synctalk.checkpoints.observer import published_observer
from synctalk.checkpoints.safetensors_file import read_header
from synctalk.checkpoints.torch_file import is_torch_file
from synctalk.checkpoints.typed import load_lip_reader, load_syncnet
from synctalk.errors import UserError
from synctalk.evaluation.judges.lip_reader import LipJudge
from synctalk.evaluation.judges.panel import Judges
from synctalk.evaluation.judges.syncnet import SyncJudge
from synctalk.evaluation.videos.foreign import Setup
from synctalk.faces.align import PEER_WINDOW, MouthParams
from synctalk.faces.detect import DetectorParams, check_weights
from synctalk.features.syncnet_input import View
from synctalk.features.tokens import Tokenizer
from synctalk.models.beam_search import BeamConfig
from synctalk.models.sync_scorer import ScoringDtype, SyncScorer

Protocol = Literal["lrs", "face"]
VIEWS: Mapping[Protocol, View] = {"lrs": "frame", "face": "tracked"}
"""The public protocols of LSE: whole frames, as for LRS in Wav2Lip's evaluation and the paper, or SyncNet's own face
track, as for footage in the wild."""
FACE_SIZE = 96
PUBLISHED_MOUTH = {"mean_face": 96, "centre": 88}
"""Side of the region that published lip readers are trained on, before their 88 x 88 are cut from its middle."""
PUBLISHED_CROP = 88


@dataclass(frozen=True)
class Wanted:
    """What the command line says.

    Attributes:
        sync: SyncNet's file; None leaves out LSE.
        protocol: of LSE; None takes what one of our own files says, and `lrs` for others.
        observer: the lip reader's file; None leaves out WER.
        roi: how published lip readers see the mouth; ours say it themselves.
        beam: hypotheses kept in the search.
        max_tokens: longest hypothesis, in word pieces.
        detector: kind of face detector; None does without, unless `tracks` is given.
        detector_params: of it.
        tracks: folder of face tracks.
        jpeg: SyncNet sees what the published scripts' frame dump leaves.
        sync_dtype: of SyncNet's lip tower.
    """

    sync: Path | None
    protocol: Protocol | None
    observer: Path | None
    roi: Literal["mean_face", "centre"]
    beam: int
    max_tokens: int
    detector: str | None
    detector_params: DetectorParams | None
    tracks: Path | None
    jpeg: bool = False
    sync_dtype: ScoringDtype = "float32"


@dataclass(frozen=True)
class Panel:
    """Judges, how clips are prepared for them, and both in words for the summary."""

    judges: Judges
    setup: Setup
    words: dict[str, Any]
    hashes: tuple[str, ...]


def assemble(wanted: Wanted) -> Panel:
    """Load the judges.

    Raises:
        UserError: a file is missing or no such judge; a face is needed and nothing finds it.
    """
    if wanted.detector is not None and wanted.detector_params is not None:
        check_weights(wanted.detector, wanted.detector_params)
    sync = _sync_judge(wanted.sync, wanted) if wanted.sync else None
    beam = BeamConfig(beam=wanted.beam, max_tokens=wanted.max_tokens)
    lips, mouth = _lip_judge(wanted.observer, wanted.roi, beam) if wanted.observer else (None, None)
    if mouth is None and sync is not None and sync.view == "mouth":
        assert wanted.sync is not None
        mouth = _mouth_of(wanted.sync)
    setup = Setup(
        view=sync.view if sync else None,
        judge=sync.model.config if sync else None,
        mouth=mouth,
        face_size=FACE_SIZE,
        detector="tracks" if wanted.tracks else wanted.detector,
        detector_params=wanted.detector_params,
        tracks=wanted.tracks,
        jpeg=wanted.jpeg,
    )
    if setup.needs_face and setup.detector is None:
        raise UserError("score", "a judge looks at faces, and nothing finds them", "give --detector and --weights")
    files = [path for path in (wanted.sync, wanted.observer) if path is not None]
    hashes = {f"{path.parent.name}/{path.name}": file_sha256(path) for path in files}
    words = {
        "lse": None
        if sync is None
        else {
            "file": wanted.sync,
            "sees": sync.view,
            "jpeg": sync.jpeg,
            "dtype": wanted.sync_dtype,
        },
        "wer": None if lips is None else {"file": wanted.observer, "beam": asdict(lips.beam), "crop": lips.crop},
        "mouth": None if mouth is None else asdict(mouth),
        "faces": setup.detector,
        "face_size": FACE_SIZE,
        "sha256": hashes,
    }
    return Panel(Judges(sync, lips), setup, _plain(words), tuple(hashes.values()))


def _plain(value: Any) -> Any:  # noqa: ANN401  # JSON and paths
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return f"{value.parent.name}/{value.name}" if isinstance(value, Path) else value


def _metadata(path: Path) -> Mapping[str, Any]:
    """What one of our files says beside its weights; empty for a peer's."""
    if not path.is_file():
        raise UserError(path, "is not there", "train one with `dvc repro`, import one, or leave that figure out")
    with path.open("rb") as file:
        if is_torch_file(file.read(9)):
            return {}
    metadata = read_header(path).get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}


def _sync_judge(path: Path, wanted: Wanted) -> SyncJudge:
    protocol = wanted.protocol
    said = _metadata(path).get("view")
    own = next((view for view in get_args(View) if view == said), None)
    if own is not None and protocol is not None and VIEWS[protocol] != own:
        raise UserError(path, f"was trained to see {own}, not what --protocol {protocol} shows", "leave it out")
    view = own or VIEWS[protocol or "lrs"]
    return SyncJudge(SyncScorer(load_syncnet(path), wanted.sync_dtype), view, wanted.jpeg)


def _mouth_of(path: Path) -> MouthParams:
    """The mouth region that one of our judges was trained on."""
    roi = _metadata(path).get("mouth")
    if not isinstance(roi, dict):
        raise UserError(path, "does not say how its mouth regions were cut", "train it again with `dvc repro`")
    try:
        return MouthParams(**roi)
    except TypeError as error:
        raise UserError(path, f"its mouth region is of another version ({error})", "train it again") from error


def _lip_judge(path: Path, roi: Literal["mean_face", "centre"], beam: BeamConfig) -> tuple[LipJudge, MouthParams]:
    metadata = _metadata(path)
    if "mouth" in metadata:
        reader, pieces = load_lip_reader(path), Tokenizer.load(path.with_name("tokenizer.model"))
        return LipJudge(reader, pieces, int(metadata["crop"]), beam), _mouth_of(path)
    published = published_observer(path)
    side = PUBLISHED_MOUTH[roi]
    mouth = MouthParams(mode=roi, size=side, centre_px=side, window_frames=PEER_WINDOW)
    return LipJudge(published.model, published.tokenizer, PUBLISHED_CROP, beam), mouth
