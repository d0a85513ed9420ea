"""A corpus to crops: parts of so many clips, one parquet file each."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

from synctalk.corpora.records import Clip, ClipTable
from synctalk.errors import UserError
from synctalk.faces.detect import Detector, DetectorParams, make_detector, onnx_provider
from synctalk.faces.extract import STAGE, CropParams, check_face_ids, crop_clip
from synctalk.rejected import Rejected
from synctalk.runtime.fingerprints import digest
from synctalk.runtime.parts import PartStage, Row, require_keep_rate, run_parts
from synctalk.shards.records import CROP_SCHEMA, crop_to_row


def detector_params(kind: str, params: CropParams) -> DetectorParams | None:
    """Section of the detector named `kind`; None for `tracks`, which looks at no pixels.

    Raises:
        UserError: no section of that name.
    """
    if kind == "tracks":
        return None
    if kind not in params.detectors:
        raise UserError(
            "corpora.<name>.detector", f"{kind!r} is unknown", f"take tracks, {' or '.join(params.detectors)}"
        )
    return params.detectors[kind]


@cache
def _detector(kind: str, params: DetectorParams) -> Detector:
    return make_detector(kind, params)


def _load(number: int, clips: ClipTable, size: int) -> list[Clip]:
    return clips.between(number * size, (number + 1) * size)


def _crop(clip: Clip, root: Path, params: CropParams, kind: str, members: tuple[str, ...]) -> list[Row | Rejected]:
    wanted = detector_params(kind, params)
    detector = None if wanted is None else _detector(kind, wanted)
    samples = crop_clip(root, clip, params, detector, members)
    return [sample if isinstance(sample, Rejected) else crop_to_row(sample) for sample in samples]


def file_stamp(root: Path, clip: Clip) -> tuple[str, int, int, int, int]:
    """Identity of a clip's video for resuming: id, stretch, bytes, modification time.

    Raises:
        UserError: the video is gone since the index was made.
    """
    path = root / clip.video
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "run `dvc repro index`") from error
    return clip.id, clip.first_frame, clip.n_cut_frames, status.st_size, status.st_mtime_ns


def crop_corpus(
    corpus: str, root: Path, clips: ClipTable, params: CropParams, detector: str, members: tuple[str, ...], out: Path
) -> None:
    """Crop every clip of a corpus into `out/part-<number>.parquet`; what could not be used goes to rejected.parquet.

    Args:
        corpus: name, for the progress bar and the scratch folder.
        root: of the corpus.
        clips: of its index.
        params: sizes and limits.
        detector: `tracks`, `yunet` or `insightface`.
        members: what the corpus keeps.
        out: folder, made where missing.

    Raises:
        UserError: missing detector weights; clips whose faces would share an id; or a smaller share was kept than
            `min_keep_rate`.
    """
    wanted = detector_params(detector, params)
    if wanted is not None:
        onnx_provider()
        make_detector(detector, wanted, "cpu")  # a GPU that is taken up here would be lost to forked workers
        if params.track.several_faces == "all":
            check_face_ids(clips)
    stage = PartStage(
        STAGE,
        load=partial(_load, clips=clips, size=params.clips_per_part),
        work=partial(_crop, root=root, params=params, kind=detector, members=members),
        schema=CROP_SCHEMA,
    )
    run_parts(
        f"{STAGE} {corpus}",
        (asdict(params), detector, members, digest(file_stamp(root, clip) for clip in clips)),
        stage,
        -(-len(clips) // params.clips_per_part),
        out,
        partial(require_keep_rate, least=params.min_keep_rate, corpus=corpus, stage=STAGE, out=out),
    )
