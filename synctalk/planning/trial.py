"""What the lists of a corpus name, and a few of its clips sent through the functions of the stages, timed."""

from __future__ import annotations

import hashlib
import heapq
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from synctalk.corpora.layouts import iter_corpus, probe_clip
from synctalk.corpora.records import Clip
from synctalk.corpora.segments import cut_clip
from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.corpus import detector_params
from synctalk.faces.detect import Detector, DetectorParams, make_detector
from synctalk.faces.extract import audio_origin_s, crop_clip
from synctalk.features.extract import extract_features
from synctalk.media import read_audio
from synctalk.parquet import write_table
from synctalk.planning.settings import CorpusSettings
from synctalk.rejected import Rejected
from synctalk.runtime.parts import CLIP_TRIES, clip_limit_s
from synctalk.runtime.workers import Lost, WorkerPool
from synctalk.shards.corpus import iter_index
from synctalk.shards.records import CROP_SCHEMA, FEATURE_SCHEMA, Crop, crop_to_row, npy
from synctalk.shards.write import ShardWriter

T = TypeVar("T")


@dataclass(frozen=True)
class CorpusLists:
    """What the lists of a corpus say.

    Attributes:
        n_clips: usable by the lists.
        n_rejected: ruled out by them.
        seconds: that reading them took.
        sample: a random sample, in random order.
    """

    n_clips: int
    n_rejected: int
    seconds: float
    sample: list[Clip]


def list_corpus(layout: str, root: Path, n: int, seed: int) -> CorpusLists:
    """Count what the lists name, and draw `n` clips of it: those whose ids, hashed with the seed, come first.

    Raises:
        UserError: as `iter_corpus`; or there are no clips.
    """
    started = time.perf_counter()
    n_clips = n_rejected = 0

    def ranked() -> Iterator[tuple[bytes, str, Clip]]:
        nonlocal n_clips, n_rejected
        for entry in iter_corpus(layout, root):
            if isinstance(entry, Rejected):
                n_rejected += 1
                continue
            n_clips += 1
            yield hashlib.sha256(f"{seed}:{entry.id}".encode()).digest(), entry.id, entry

    sample = [clip for _, _, clip in heapq.nsmallest(n, ranked(), key=lambda rank: rank[:2])]
    if not n_clips:
        raise UserError(root, f"has no usable clips in the layout {layout}", "take another root or layout")
    return CorpusLists(n_clips, n_rejected, time.perf_counter() - started, sample)


@dataclass(frozen=True)
class Trial:
    """What one listed clip cost and gave.

    Attributes:
        n_frames: of its video's 25 fps time line, as the index stage finds them; 0 where it cannot be probed.
        clips: that it became in the index.
        n_samples: that it became in shards.
        seconds, n_bytes: by stage, as far as it came.
        rejected: why it, or parts of it, were dropped.
    """

    n_frames: int = 0
    clips: tuple[Clip, ...] = ()
    n_samples: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    n_bytes: dict[str, int] = field(default_factory=dict)
    rejected: tuple[Reason, ...] = ()


@cache
def _detector(kind: str, params: DetectorParams) -> Detector:
    return make_detector(kind, params)


def _file_bytes(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_table(path, rows, schema)
        return path.stat().st_size


def _blank(kind: pa.DataType) -> bytes | str | float | list[Any]:
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_string(kind):
        return ""
    return [] if pa.types.is_list(kind) else 0


@cache
def frame_bytes(schema: pa.Schema) -> int:
    """What a parquet file takes besides its values."""
    return _file_bytes([{column.name: _blank(column.type) for column in schema}], schema)


def row_bytes(rows: list[dict[str, Any]], schema: pa.Schema) -> int:
    """What rows take in a parquet file of many."""
    return max(0, _file_bytes(rows, schema) - frame_bytes(schema)) if rows else 0


def try_index(clip: Clip, settings: CorpusSettings) -> Trial:
    """The index stage on one listed clip."""
    started = time.perf_counter()
    n_frames = 0
    clips: tuple[Clip, ...] = ()
    dropped: tuple[Reason, ...] = ()
    try:
        probed = probe_clip(settings.root, clip)
        n_frames = probed.n_frames
        cut = cut_clip(probed.clip, n_frames, settings.corpus.max_segment_s)
        clips = tuple(row for row in cut if isinstance(row, Clip))
        dropped = tuple(row.reason for row in cut if isinstance(row, Rejected))
    except ClipError as error:
        dropped = (error.reason,)
    return Trial(n_frames, clips, seconds={"index": time.perf_counter() - started}, rejected=dropped)


def _crop(clip: Clip, settings: CorpusSettings) -> list[Crop | Reason]:
    wanted = detector_params(settings.corpus.detector, settings.crop)
    detector = None if wanted is None else _detector(settings.corpus.detector, wanted)
    try:
        samples = crop_clip(settings.root, clip, settings.crop, detector, settings.corpus.members)
    except ClipError as error:
        return [error.reason]
    return [sample.reason if isinstance(sample, Rejected) else sample for sample in samples]


def _features(clip: Clip, crop: Crop, settings: CorpusSettings) -> dict[str, bytes] | Reason:
    try:
        pcm = read_audio(settings.root / clip.audio, audio_origin_s(clip))
    except ClipError as error:
        return error.reason
    found = extract_features(pcm, crop.audio_start, crop.n_frames, settings.corpus.members)
    return {name: npy(found[name]) if name in found else b"" for name in ("fbank", "mfcc", "mel")}


def try_stages(indexed: Trial, settings: CorpusSettings) -> Trial:
    """Crop, features and shard on what one listed clip became in the index, with the files that they write."""
    seconds, n_bytes = {}, {}
    started = time.perf_counter()
    cropped = [(clip, crop) for clip in indexed.clips for crop in _crop(clip, settings)]
    crops = [(clip, crop) for clip, crop in cropped if isinstance(crop, Crop)]
    n_bytes["crop"] = row_bytes([crop_to_row(crop) for _, crop in crops], CROP_SCHEMA)
    seconds["crop"], started = time.perf_counter() - started, time.perf_counter()
    outcomes = [(clip, crop, _features(clip, crop, settings)) for clip, crop in crops]
    kept = [(clip, crop, blobs) for clip, crop, blobs in outcomes if isinstance(blobs, dict)]
    n_bytes["features"] = row_bytes([{"id": crop.id, **blobs} for _, crop, blobs in kept], FEATURE_SCHEMA)
    seconds["features"], started = time.perf_counter() - started, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        writer = ShardWriter(Path(folder), settings.shards.max_bytes)
        for sample in kept:
            writer.write(*sample)
        writer.close()
        n_bytes["shard"] = sum(row.size for row in iter_index(Path(folder)))
    seconds["shard"] = time.perf_counter() - started
    ended = [*(crop for _, crop in cropped), *(blobs for _, _, blobs in outcomes)]
    dropped = tuple(outcome for outcome in ended if isinstance(outcome, Reason))
    return replace(indexed, n_samples=len(kept), seconds=seconds, n_bytes=n_bytes, rejected=indexed.rejected + dropped)


def guarded(pool: WorkerPool, function: Callable[[T], Trial], items: Sequence[T], stage: str) -> list[Trial]:
    """`function` over `items`; one that hangs or crashes is a dropped clip that took its time."""
    limit_s = clip_limit_s()
    results = pool.map(function, items, limit_s=limit_s, tries=CLIP_TRIES)
    return [
        Trial(seconds={stage: limit_s * CLIP_TRIES}, rejected=(one.reason,)) if isinstance(one, Lost) else one
        for one in results
    ]
