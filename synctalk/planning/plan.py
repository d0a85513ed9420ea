"""What a corpus will cost, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial

from synctalk.corpora.records import CLIP_SCHEMA
from synctalk.errors import UserError
from synctalk.faces.corpus import detector_params
from synctalk.faces.detect import make_detector
from synctalk.planning.estimate import Estimate, expand_mean, expand_ratio, sum_estimates
from synctalk.planning.settings import CorpusSettings
from synctalk.planning.trial import frame_bytes, guarded, list_corpus, row_bytes, try_index, try_stages
from synctalk.runtime.workers import WorkerPool
from synctalk.timebase import FPS

STAGES = ("lists", "index", "crop", "features", "shard")
"""What is estimated; `lists` is the beginning of the stage index."""
SERIAL = frozenset({"lists", "shard"})
"""What one process does alone."""
HOUR_S, GIGABYTE = 3600.0, 1e9


@dataclass(frozen=True)
class Sampling:
    """Clips that go through all stages, clips that are probed for their length, and the seed that draws them."""

    n_tried: int
    n_probed: int
    seed: int


@dataclass(frozen=True)
class StageCost:
    """One stage on the whole corpus: hours of one core, hours on the machines asked for, gigabytes (1e9) written."""

    core_hours: Estimate
    hours: Estimate
    gigabytes: Estimate


@dataclass(frozen=True)
class CorpusCost:
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


def plan_corpus(settings: CorpusSettings, sampling: Sampling, workers: int, machines: int) -> CorpusCost:
    """Sample a corpus, work on the sample in one guarded process, and extrapolate.

    Raises:
        UserError: the root, a list or the detector's weights are missing; or none of the tried clips can be read.
    """
    wanted = detector_params(settings.corpus.detector, settings.crop)
    if wanted is not None:
        make_detector(settings.corpus.detector, wanted)
    lists = list_corpus(settings.corpus.layout, settings.root, max(sampling.n_probed, sampling.n_tried), sampling.seed)
    n_all = lists.n_clips
    with WorkerPool(1, daemon=True) as pool:
        index, work = partial(try_index, settings=settings), partial(try_stages, settings=settings)
        # the first call of each imports libraries and loads the detector, once a worker
        guarded(pool, work, guarded(pool, index, lists.sample[:1], "index"), "crop")
        probed = guarded(pool, index, lists.sample, "index")
        tried = guarded(pool, work, probed[: sampling.n_tried], "crop")
    frames = [one.n_frames for one in probed[: sampling.n_tried]]
    reasons = Counter(str(reason) for one in tried for reason in one.rejected)
    if not sum(frames):
        why = ", ".join(sorted(reasons))
        raise UserError(settings.root, f"none of the {len(tried)} clips that were tried can be read ({why})")
    all_frames = expand_mean([one.n_frames for one in probed], n_all)

    def of_all(values: Iterable[float]) -> Estimate:
        return expand_ratio(list(values), frames, n_all, all_frames)

    seconds = {"lists": Estimate(lists.seconds)}
    seconds["index"] = expand_mean([one.seconds["index"] for one in probed], n_all)
    n_bytes = {"lists": Estimate(0.0)}
    index_bytes = row_bytes([asdict(clip) for one in probed for clip in one.clips], CLIP_SCHEMA)
    n_bytes["index"] = Estimate(frame_bytes(CLIP_SCHEMA) + index_bytes * n_all / len(probed))
    for stage in STAGES[2:]:
        seconds[stage] = of_all(one.seconds.get(stage, 0.0) for one in tried)
        n_bytes[stage] = of_all(one.n_bytes.get(stage, 0) for one in tried)
    stages = {}
    for stage in STAGES:
        core_hours = seconds[stage].times(1 / HOUR_S)
        hours = core_hours if stage in SERIAL else core_hours.times(1 / (workers * machines))
        stages[stage] = StageCost(core_hours, hours, n_bytes[stage].times(1 / GIGABYTE))
    return CorpusCost(
        n_clips=n_all,
        n_rejected=lists.n_rejected,
        n_probed=len(probed),
        n_tried=len(tried),
        footage_hours=all_frames.times(1 / FPS / HOUR_S),
        n_samples=expand_mean([one.n_samples for one in tried], n_all),
        rejected=dict(sorted(reasons.items())),
        workers=workers,
        machines=machines,
        stages=stages,
        whole=StageCost(
            sum_estimates(cost.core_hours for cost in stages.values()),
            sum_estimates(cost.hours for cost in stages.values()),
            sum_estimates(cost.gigabytes for cost in stages.values()),
        ),
        scratch_gigabytes=max((cost.gigabytes for cost in stages.values()), key=lambda size: size.value),
    )
