"""What a corpus will cost, from a few of its clips: core-hours, gigabytes, and their uncertainty.

The lists of the corpus are read whole, its media files are not. A random sample of the listed clips is probed for its
length; a part of that sample goes through the functions of the stages index, crop, features and shard, timed. Costs are
taken to grow with the frames: the estimator is the ratio of cost to frames in the smaller sample, times the frames of
the corpus as the larger one tells them (double sampling; Cochran, Sampling Techniques, ch. 12).
"""

from __future__ import annotations

import hashlib
import heapq
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from math import inf, sqrt
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synctalk.corpora.layouts import iter_corpus, probe_clip
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import CLIP_SCHEMA, Clip
from synctalk.corpora.segments import cut_clip
from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.corpus import detector_params
from synctalk.faces.detect import Detector, DetectorParams, make_detector
from synctalk.faces.extract import CropParams, audio_origin_s, crop_clip
from synctalk.features.extract import extract_features
from synctalk.media import read_audio
from synctalk.params.read import load, load_entry
from synctalk.parquet import write_table
from synctalk.rejected import Rejected
from synctalk.runtime.parts import CLIP_TRIES, clip_limit_s
from synctalk.runtime.workers import Lost, WorkerPool
from synctalk.shards.corpus import ShardParams, iter_index
from synctalk.shards.records import CROP_SCHEMA, FEATURE_SCHEMA, Crop, crop_to_row, npy
from synctalk.shards.write import ShardWriter
from synctalk.timebase import FPS

T = TypeVar("T")

STAGES = ("lists", "index", "crop", "features", "shard")
"""What is estimated; `lists` is the beginning of the stage index."""
SERIAL = frozenset({"lists", "shard"})
"""What one process does alone."""
CONFIDENCE = 0.95
"""Of the intervals."""
HOUR_S, GIGABYTE = 3600.0, 1e9
UNNAMED = CorpusParams(
    root="",
    layout="folder",
    detector="yunet",
    members=("faces", "mouth", "fbank", "mfcc"),
    max_segment_s=16.0,
    depends_on="manifest",
)
"""Of a corpus that params.yaml does not have: all that training looks at; long clips are cut as auto_avsr cuts them."""


@dataclass(frozen=True)
class Job:
    """What the tried clips go through: one corpus, and the settings of its stages."""

    corpus: CorpusParams
    crop: CropParams
    shards: ShardParams

    @property
    def root(self) -> Path:
        return Path(self.corpus.root)


@dataclass(frozen=True)
class Sampling:
    """Clips that go through all stages, clips that are probed for their length, and the seed that draws them."""

    n_tried: int
    n_probed: int
    seed: int


@dataclass(frozen=True)
class Listing:
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


@dataclass(frozen=True)
class Estimate:
    """A total of the corpus, and half the width of its interval of `CONFIDENCE`; infinite where one clip was tried."""

    value: float
    margin: float = 0.0

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.value * factor, self.margin * factor)


@dataclass(frozen=True)
class StageCost:
    """One stage on the whole corpus: hours of one core, hours on the machines asked for, gigabytes (1e9) written."""

    core_hours: Estimate
    hours: Estimate
    gigabytes: Estimate


@dataclass(frozen=True)
class Plan:
    """What a corpus will cost.

    Attributes:
        n_clips, n_rejected: by the lists.
        n_probed, n_tried: clips of the two samples.
        footage_hours: length of the videos.
        n_samples: samples that the shards will hold.
        rejected: how many tried clips, or parts of them, were dropped, by reason.
        workers, machines: processes a machine, and machines.
        stages: by name, in their order.
        whole: all stages, one after the other.
        scratch_gigabytes: the most that .synctalk/scratch holds at a time.
    """

    n_clips: int
    n_rejected: int
    n_probed: int
    n_tried: int
    footage_hours: Estimate
    n_samples: Estimate
    rejected: dict[str, int]
    workers: int
    machines: int
    stages: dict[str, StageCost]
    whole: StageCost
    scratch_gigabytes: Estimate


def choose_job(role: str, *, layout: str, root: str, detector: str, weights: str) -> Job:
    """The corpus of params.yaml called `role`, or one that it does not have, with params.yaml's settings; what is not
    empty stands instead of what params.yaml says.

    Raises:
        UserError: neither a role nor a layout and a root; a wrong layout or detector; or as `load`.
    """
    if not role and not (layout and root):
        raise UserError("plan", "no corpus is named", "give a role of params.yaml, or --layout and --root")
    known = load_entry("corpora", role, CorpusParams) if role else UNNAMED
    given: dict[str, Any] = {"layout": layout, "root": root, "detector": detector}
    corpus = replace(known, **{key: value for key, value in given.items() if value})
    crop = load("crop", CropParams)
    if weights and detector_params(corpus.detector, crop) is not None:
        changed = replace(crop.detectors[corpus.detector], weights=weights)
        crop = replace(crop, detectors={**crop.detectors, corpus.detector: changed})
    return Job(corpus, crop, load("shards", ShardParams))


def list_corpus(layout: str, root: Path, n: int, seed: int) -> Listing:
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
    return Listing(n_clips, n_rejected, time.perf_counter() - started, sample)


@dataclass(frozen=True)
class _Trial:
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
def _frame_bytes(schema: pa.Schema) -> int:
    """What a parquet file takes besides its values."""
    return _file_bytes([{column.name: _blank(column.type) for column in schema}], schema)


def _row_bytes(rows: list[dict[str, Any]], schema: pa.Schema) -> int:
    """What rows take in a parquet file of many."""
    return max(0, _file_bytes(rows, schema) - _frame_bytes(schema)) if rows else 0


def _index(clip: Clip, job: Job) -> _Trial:
    """The index stage on one listed clip."""
    started = time.perf_counter()
    n_frames = 0
    clips: tuple[Clip, ...] = ()
    dropped: tuple[Reason, ...] = ()
    try:
        probed = probe_clip(job.root, clip)
        n_frames = probed.n_frames
        cut = cut_clip(probed.clip, n_frames, job.corpus.max_segment_s)
        clips = tuple(row for row in cut if isinstance(row, Clip))
        dropped = tuple(row.reason for row in cut if isinstance(row, Rejected))
    except ClipError as error:
        dropped = (error.reason,)
    return _Trial(n_frames, clips, seconds={"index": time.perf_counter() - started}, rejected=dropped)


def _crop(clip: Clip, job: Job) -> list[Crop | Reason]:
    wanted = detector_params(job.corpus.detector, job.crop)
    detector = None if wanted is None else _detector(job.corpus.detector, wanted)
    try:
        samples = crop_clip(job.root, clip, job.crop, detector, job.corpus.members)
    except ClipError as error:
        return [error.reason]
    return [sample.reason if isinstance(sample, Rejected) else sample for sample in samples]


def _features(clip: Clip, crop: Crop, job: Job) -> dict[str, bytes] | Reason:
    try:
        pcm = read_audio(job.root / clip.audio, audio_origin_s(clip))
    except ClipError as error:
        return error.reason
    found = extract_features(pcm, crop.audio_start, crop.n_frames, job.corpus.members)
    return {name: npy(found[name]) if name in found else b"" for name in ("fbank", "mfcc", "mel")}


def _work(indexed: _Trial, job: Job) -> _Trial:
    """Crop, features and shard on what one listed clip became in the index, with the files that they write."""
    seconds, n_bytes = {}, {}
    started = time.perf_counter()
    cropped = [(clip, crop) for clip in indexed.clips for crop in _crop(clip, job)]
    crops = [(clip, crop) for clip, crop in cropped if isinstance(crop, Crop)]
    n_bytes["crop"] = _row_bytes([crop_to_row(crop) for _, crop in crops], CROP_SCHEMA)
    seconds["crop"], started = time.perf_counter() - started, time.perf_counter()
    heard = [(clip, crop, _features(clip, crop, job)) for clip, crop in crops]
    kept = [(clip, crop, blobs) for clip, crop, blobs in heard if isinstance(blobs, dict)]
    n_bytes["features"] = _row_bytes([{"id": crop.id, **blobs} for _, crop, blobs in kept], FEATURE_SCHEMA)
    seconds["features"], started = time.perf_counter() - started, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        writer = ShardWriter(Path(folder), job.shards.max_bytes)
        for sample in kept:
            writer.write(*sample)
        writer.close()
        n_bytes["shard"] = sum(row.size for row in iter_index(Path(folder)))
    seconds["shard"] = time.perf_counter() - started
    outcomes = [*(crop for _, crop in cropped), *(blobs for _, _, blobs in heard)]
    dropped = tuple(outcome for outcome in outcomes if isinstance(outcome, Reason))
    return replace(indexed, n_samples=len(kept), seconds=seconds, n_bytes=n_bytes, rejected=indexed.rejected + dropped)


def _guarded(pool: WorkerPool, function: Callable[[T], _Trial], items: Sequence[T], stage: str) -> list[_Trial]:
    """`function` over `items`; one that hangs or crashes is a dropped clip that took its time."""
    limit_s = clip_limit_s()
    results = pool.map(function, items, limit_s=limit_s, tries=CLIP_TRIES)
    return [
        _Trial(seconds={stage: limit_s * CLIP_TRIES}, rejected=(one.reason,)) if isinstance(one, Lost) else one
        for one in results
    ]


def _half_width(values: NDArray[np.float64], n_all: int) -> float:
    """Of the interval of a mean from values of a random sample, without replacement, of `n_all`."""
    n = len(values)
    if n == n_all:
        return 0.0
    if n < 2:
        return inf
    from scipy.stats import t

    student = float(t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return student * sqrt((1 - n / n_all) * float(values.var(ddof=1)) / n)


def expand_mean(values: Sequence[float], n_all: int) -> Estimate:
    """Total over `n_all` clips from the values of a random sample of them."""
    array = np.asarray(values, np.float64)
    return Estimate(float(array.mean()), _half_width(array, n_all)).times(n_all)


def expand_ratio(values: Sequence[float], frames: Sequence[float], n_all: int, all_frames: Estimate) -> Estimate:
    """Total over `n_all` clips from the values and frames of a random sample of them, and from the frames of all.

    The errors of the ratio and of the frames are taken to be independent.
    """
    y, x = np.asarray(values, np.float64), np.asarray(frames, np.float64)
    ratio = float(y.sum() / x.sum())
    of_ratio = _half_width(y - ratio * x, n_all) / float(x.mean()) * all_frames.value
    return Estimate(ratio * all_frames.value, sqrt(of_ratio**2 + (ratio * all_frames.margin) ** 2))


def _sum(estimates: Iterable[Estimate]) -> Estimate:
    """Of estimates that err together: one sample tells them all."""
    parts = list(estimates)
    return Estimate(sum(part.value for part in parts), sum(part.margin for part in parts))


def plan_corpus(job: Job, sampling: Sampling, workers: int, machines: int) -> Plan:
    """Sample a corpus, work on the sample in one guarded process, and extrapolate.

    Raises:
        UserError: the root, a list or the detector's weights are missing; or none of the tried clips can be read.
    """
    wanted = detector_params(job.corpus.detector, job.crop)
    if wanted is not None:
        make_detector(job.corpus.detector, wanted)
    listing = list_corpus(job.corpus.layout, job.root, max(sampling.n_probed, sampling.n_tried), sampling.seed)
    n_all = listing.n_clips
    with WorkerPool(1, daemon=True) as pool:
        index, work = partial(_index, job=job), partial(_work, job=job)
        # the first call of each imports libraries and loads the detector, once a worker
        _guarded(pool, work, _guarded(pool, index, listing.sample[:1], "index"), "crop")
        probed = _guarded(pool, index, listing.sample, "index")
        tried = _guarded(pool, work, probed[: sampling.n_tried], "crop")
    frames = [one.n_frames for one in probed[: sampling.n_tried]]
    reasons = Counter(str(reason) for one in tried for reason in one.rejected)
    if not sum(frames):
        why = ", ".join(sorted(reasons))
        raise UserError(job.root, f"none of the {len(tried)} clips that were tried can be read ({why})")
    all_frames = expand_mean([one.n_frames for one in probed], n_all)

    def of_all(values: Iterable[float]) -> Estimate:
        return expand_ratio(list(values), frames, n_all, all_frames)

    seconds = {"lists": Estimate(listing.seconds)}
    seconds["index"] = expand_mean([one.seconds["index"] for one in probed], n_all)
    n_bytes = {"lists": Estimate(0.0)}
    index_bytes = _row_bytes([asdict(clip) for one in probed for clip in one.clips], CLIP_SCHEMA)
    n_bytes["index"] = Estimate(_frame_bytes(CLIP_SCHEMA) + index_bytes * n_all / len(probed))
    for stage in STAGES[2:]:
        seconds[stage] = of_all(one.seconds.get(stage, 0.0) for one in tried)
        n_bytes[stage] = of_all(one.n_bytes.get(stage, 0) for one in tried)
    stages = {}
    for stage in STAGES:
        core_hours = seconds[stage].times(1 / HOUR_S)
        hours = core_hours if stage in SERIAL else core_hours.times(1 / (workers * machines))
        stages[stage] = StageCost(core_hours, hours, n_bytes[stage].times(1 / GIGABYTE))
    return Plan(
        n_clips=n_all,
        n_rejected=listing.n_rejected,
        n_probed=len(probed),
        n_tried=len(tried),
        footage_hours=all_frames.times(1 / FPS / HOUR_S),
        n_samples=expand_mean([one.n_samples for one in tried], n_all),
        rejected=dict(sorted(reasons.items())),
        workers=workers,
        machines=machines,
        stages=stages,
        whole=StageCost(
            _sum(cost.core_hours for cost in stages.values()),
            _sum(cost.hours for cost in stages.values()),
            _sum(cost.gigabytes for cost in stages.values()),
        ),
        scratch_gigabytes=max((cost.gigabytes for cost in stages.values()), key=lambda size: size.value),
    )


TIMES = (("h", HOUR_S), ("min", 60.0), ("s", 1.0))
SIZES = (("TB", 1e12), ("GB", GIGABYTE), ("MB", 1e6), ("kB", 1e3))


def _with_margin(text: str, estimate: Estimate) -> str:
    """The figure and its interval as a share of it, to whole per cent."""
    share = estimate.margin / estimate.value if estimate.value else 0.0
    if not share:
        return text
    return f"{text} ± {share:.0%}" if 0.01 <= share < inf else f"{text} ± {'<1%' if share < inf else '?'}"


def _quantity(estimate: Estimate, units: Sequence[tuple[str, float]]) -> str:
    """In the largest unit of which it is one at least, the last one for less."""
    if not estimate.value:
        return "-"
    unit, size = next((pair for pair in units if estimate.value >= pair[1]), units[-1])
    number = estimate.value / size
    return _with_margin(f"{number:,.0f} {unit}" if number >= 100 else f"{number:.2g} {unit}", estimate)


def render(plan: Plan, name: str) -> str:
    """The plan as a table for a person."""

    def line(label: str, cost: StageCost) -> str:
        hours = _quantity(cost.hours.times(HOUR_S), TIMES) + (" *" if label in SERIAL else "")
        cells = _quantity(cost.core_hours.times(HOUR_S), TIMES), hours, _quantity(cost.gigabytes.times(GIGABYTE), SIZES)
        return f"{label:<10}" + "".join(f"{cell:>20}" for cell in cells)

    dropped = ", ".join(f"{reason} {count}" for reason, count in plan.rejected.items()) or "none"
    n_samples = _with_margin(f"{plan.n_samples.value:,.0f}", plan.n_samples)
    footage = _quantity(plan.footage_hours.times(HOUR_S), TIMES)
    scratch = _quantity(plan.scratch_gigabytes.times(GIGABYTE), SIZES)
    return "\n".join(
        [
            f"{name}: {plan.n_clips:,} clips; {plan.n_rejected:,} more that the lists or the files beside rule out",
            f"looked at: {plan.n_probed:,} for their length, {plan.n_tried:,} worked on; dropped of these: {dropped}",
            f"expected: {footage} of footage, {n_samples} samples",
            "",
            f"{'':<10}{'one core':>20}{f'{plan.machines} x {plan.workers} workers':>20}{'disk':>20}",
            *(line(stage, cost) for stage, cost in plan.stages.items()),
            line("all", plan.whole),
            "",
            f"±: sampling error, {CONFIDENCE:.0%}. Times are of this machine's cores and disk. *: one process does it.",
            f"Scratch: up to {scratch}, which become the stage's output by links on the same file system.",
            "DVC keeps a second copy of every output, unless its cache.type names links.",
        ]
    )
