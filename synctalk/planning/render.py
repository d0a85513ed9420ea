"""A plan as a table for a person."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from synctalk.planning.estimate import CONFIDENCE, Estimate
from synctalk.planning.plan import GIGABYTE, HOUR_S, SERIAL, CorpusCost, StageCost

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


def render(plan: CorpusCost, name: str) -> str:
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
