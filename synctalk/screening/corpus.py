"""A corpus screened: offset and confidence of every crop, and what follows from them, in the parts of the crops."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from synctalk.checkpoints.typed import load_syncnet
from synctalk.corpora.records import Clip, ClipTable, Rejected, iter_rows
from synctalk.errors import ClipError, Reason, UserError
from synctalk.evaluation.judges import judge_sync, sync_embeddings
from synctalk.faces.crop import syncnet_crops
from synctalk.faces.extract import audio_origin_s
from synctalk.features import mfcc, pcm_from
from synctalk.features.syncnet_input import View, judge_pictures
from synctalk.media import read_audio, read_video
from synctalk.metrics.lse import LipSync
from synctalk.models.sync_scorer import SyncScorer
from synctalk.models.syncnet import n_windows
from synctalk.runtime.jobs import content_key, digest
from synctalk.runtime.parts import PartStage, Row, Tally, n_parts_in, part_path, require_keep_rate, run_parts
from synctalk.screening.params import NO_VIEW, STORED, ScreenParams
from synctalk.screening.verdict import check_windows, frames_to_move
from synctalk.shards.mosaic import decode_mosaic
from synctalk.shards.records import CROP_SCHEMA, SCREENING_SCHEMA
from synctalk.shards.screened import write_unscreened
from synctalk.timebase import n_samples

STAGE = "screen"


@dataclass(frozen=True)
class _Sample:
    """A crop to be screened: its clip, where it lies, its face boxes int32 [T, 4] and, of a stored view, its JPEG."""

    id: str
    clip: Clip
    start: int
    n_frames: int
    boxes: NDArray[np.int32]
    mosaic: bytes


@dataclass(frozen=True)
class _Measured:
    """Windows that lips and audio both have, and their sync; None where there are too few."""

    n_windows: int
    sync: LipSync | None


def _load(number: int, crops: Path, clips: ClipTable, view: View) -> list[_Sample]:
    column = STORED.get(view)
    columns = ["id", "clip", "start", "n_frames", "boxes", *([column] if column else [])]
    rows = list(iter_rows(part_path(crops, number), CROP_SCHEMA, columns))
    found = clips.by_id({row["clip"] for row in rows})
    return [
        _Sample(
            row["id"],
            found[row["clip"]],
            row["start"],
            row["n_frames"],
            np.frombuffer(row["boxes"], "<i4").reshape(-1, 4),
            row[column] if column else b"",
        )
        for row in rows
    ]


@cache
def _net(path: Path) -> SyncScorer:
    torch.set_num_threads(1)  # figures must not depend on how many processes share the cores
    return SyncScorer(load_syncnet(path))


def _pictures(sample: _Sample, root: Path, view: View) -> NDArray[np.uint8]:
    """What the net sees of a crop, before it is resized."""
    if view in STORED:
        if not sample.mosaic:
            raise UserError("screener.net.view", f"{view}: {sample.id} has none", NO_VIEW)
        return decode_mosaic(sample.mosaic, sample.n_frames)
    span = slice(sample.start, sample.start + sample.n_frames)
    frames = read_video(root / sample.clip.video, span=span).frames
    return np.stack(list(syncnet_crops(frames, sample.boxes.astype(np.float32)))) if view == "tracked" else frames


def _measure(sample: _Sample, root: Path, net: Path, view: View, min_windows: int) -> _Measured:
    """Sync of a crop and the audio beside it, as LSE is measured.

    Raises:
        ClipError: video or audio cannot be decoded.
    """
    pcm = pcm_from(read_audio(root / sample.clip.audio, audio_origin_s(sample.clip)), sample.start)
    pcm = pcm[: n_samples(sample.n_frames)]
    windows = n_windows(sample.n_frames, len(pcm))
    if windows < max(1, min_windows):
        return _Measured(windows, None)
    model = _net(net)
    pictures = judge_pictures(_pictures(sample, root, view), model.config)
    found = sync_embeddings(model, pictures, mfcc(pcm).astype(np.float32), len(pcm))
    return _Measured(windows, judge_sync(found, found))


def _screen(sample: _Sample, root: Path, net: Path, view: View, params: ScreenParams) -> list[Row | Rejected]:
    """The row of one crop and, where it is dropped, why: what was measured is kept of every crop."""
    measured = _measure(sample, root, net, view, params.min_windows)
    if params.policy == "measure" or sample.clip.split not in params.splits:
        return [_row(sample, measured)]
    try:
        if measured.sync is None:
            check_windows(measured.n_windows, params)
            return [_row(sample, measured)]
        return [_row(sample, measured, frames_to_move(measured.sync, params))]
    except ClipError as error:
        return [_row(sample, measured, kept=False), Rejected(sample.id, STAGE, error.reason, error.detail)]


def _row(sample: _Sample, measured: _Measured, moved: int = 0, *, kept: bool = True) -> Row:
    """A row of `SCREENING_SCHEMA`."""
    sync = measured.sync
    return {
        "id": sample.id,
        "n_windows": measured.n_windows,
        "offset": sync.offset if sync else None,
        "distance": sync.distance if sync else None,
        "confidence": sync.confidence if sync else None,
        "kept": kept,
        "audio_start": sample.start + moved,
    }


def screen_corpus(
    corpus: str, root: Path, clips: ClipTable, crops: Path, net: Path, view: View, params: ScreenParams, out: Path
) -> None:
    """Screen every crop of a corpus into files of the same names; what was dropped goes to rejected.parquet.

    Args:
        corpus: name, for the progress bar and the scratch folder.
        root: of the corpus.
        clips: of its index.
        crops: folder of the crop stage.
        net: safetensors file of the SyncNet that screens; not opened where the policy is `off`.
        view: what that net sees.
        params: policy and limits.
        out: folder, made where missing.

    Raises:
        UserError: a smaller share was kept than `min_keep_rate`; the crops hold no such view.
    """
    if params.policy == "off":
        write_unscreened(crops, out)
        return
    n_parts = n_parts_in(crops)
    stamps = digest(
        (stat.st_size, stat.st_mtime_ns) for stat in (part_path(crops, number).stat() for number in range(n_parts))
    )
    key = (asdict(params), view, stamps, content_key(net))
    stage = PartStage(
        STAGE,
        load=partial(_load, crops=crops, clips=clips, view=view),
        work=partial(_screen, root=root, net=net, view=view, params=params),
        schema=SCREENING_SCHEMA,
    )
    run_parts(f"{STAGE} {corpus}", key, stage, n_parts, out, partial(_accept, corpus=corpus, out=out, params=params))


def _accept(tally: Tally, corpus: str, out: Path, params: ScreenParams) -> None:
    """Enough is left: rows of what screening dropped are no rows that were kept."""
    n_dropped = tally.rejected[Reason.OUT_OF_SYNC] + tally.rejected[Reason.TOO_SHORT]
    left = Tally(tally.n_kept - n_dropped, Counter(tally.rejected))
    require_keep_rate(left, params.min_keep_rate, corpus, "screen", out)
