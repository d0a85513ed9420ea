"""A corpus to crops: parts of so many clips, one parquet file each, made by processes and resumed part by part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from synctalk.corpora.records import Clip, Rejected, read_rejected, write_rejected, write_table
from synctalk.errors import ClipError, UserError
from synctalk.faces.detect import Detector, DetectorParams, make_detector
from synctalk.faces.extract import STAGE, CropParams, check_face_ids, crop_clip
from synctalk.jobs import map_ordered, publish, scratch
from synctalk.shards.records import CROP_SCHEMA, Crop, crop_to_row


@dataclass(frozen=True)
class _Part:
    """One unit of work: its clips, and the file that it becomes."""

    clips: list[Clip]
    path: Path
    root: Path
    params: CropParams
    detector: str
    members: tuple[str, ...]

    @property
    def rejected(self) -> Path:
        return self.path.with_suffix(".rejected.parquet")


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


def _crop_part(part: _Part) -> None:
    """Crop the clips of one part; the rejected file is written first, so that the part itself says that both are
    done.
    """
    params = detector_params(part.detector, part.params)
    detector = None if params is None else _detector(part.detector, params)
    rows: list[dict[str, object]] = []
    rejected: list[Rejected] = []
    for clip in part.clips:
        try:
            samples = crop_clip(part.root, clip, part.params, detector, part.members)
        except ClipError as error:
            samples = [Rejected(clip.id, STAGE, error.reason, error.detail)]
        rows += [crop_to_row(sample) for sample in samples if isinstance(sample, Crop)]
        rejected += [sample for sample in samples if isinstance(sample, Rejected)]
    write_rejected(part.rejected, rejected)
    write_table(part.path, rows, CROP_SCHEMA)


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
    corpus: str, root: Path, clips: list[Clip], params: CropParams, detector: str, members: tuple[str, ...], out: Path
) -> list[Rejected]:
    """Crop every clip of a corpus into `out/part-<number>.parquet`; what could not be used comes back with its reason.

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
        make_detector(detector, wanted)
        if params.track.several_faces == "all":
            check_face_ids(clips)
    size = params.clips_per_part
    key = (asdict(params), detector, members, [file_stamp(root, clip) for clip in clips])
    with scratch(f"crop-{corpus}", *key) as folder:
        parts = [
            _Part(clips[i : i + size], folder / f"part-{i // size:05d}.parquet", root, params, detector, members)
            for i in range(0, len(clips), size)
        ]
        todo = [part for part in parts if not part.path.exists()]
        for _ in map_ordered(_crop_part, todo, label=f"crop {corpus}"):
            pass
        rejected = [row for part in parts for row in read_rejected(part.rejected)]
        n_kept = sum(pq.read_metadata(part.path).num_rows for part in parts)
        keep_rate = n_kept / max(1, n_kept + len(rejected))
        if keep_rate < params.min_keep_rate:
            most = max({row.reason for row in rejected}, key=[row.reason for row in rejected].count)
            raise UserError(
                f"corpus {corpus}",
                f"only {keep_rate:.0%} of {n_kept + len(rejected)} samples were kept, mostly for {most}",
                "look at the clips, or lower crop.min_keep_rate",
            )
        for part in parts:
            publish(part.path, out / part.path.name)
    return rejected
