"""A corpus worked off in parts: one parquet file a part, made anywhere, resumed part by part, clip by clip guarded.

A part's clips are worked on in a process of their own beside the one that collects the part, so that a decoder which
hangs or crashes takes nothing with it: the clip is begun once more in a fresh process, which absolves it if somebody
else killed the first, and is then rejected as `timed_out` or `crashed`. What the other clips gave is kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from synctalk.atomic import publish
from synctalk.errors import ClipError, Reason, UserError
from synctalk.parquet import write_table
from synctalk.rejected import REJECTED_SCHEMA, Rejected, iter_rejected
from synctalk.runtime.mapping import map_ordered
from synctalk.runtime.scratch import scratch
from synctalk.runtime.workers import Lost, WorkerPool

REJECTED = "rejected.parquet"
PART_GROUP_ROWS = 16
"""Rows of a row group: pictures of a few clips are in memory when a part is read."""
CLIP_TRIES = 2
DEFAULT_LIMIT_S = 600.0
"""A clip of 25 s takes about a second of one core here, and an hour of footage some minutes; slow disks and slow
detectors have their room, and a decoder that hangs costs one core twenty minutes, once."""


class HasId(Protocol):
    """What is worked on: anything that says which clip it is."""

    @property
    def id(self) -> str: ...


ItemT = TypeVar("ItemT", bound=HasId)
Row = dict[str, Any]


@dataclass(frozen=True)
class PartStage(Generic[ItemT]):
    """What a stage does; all of it picklable, since parts are made in other processes or on other machines.

    Attributes:
        name: of the stage, in the rows of rejected clips.
        load: number of a part -> its items, in their order.
        work: item -> any number of rows of the part, and what of it was rejected; a `ClipError` rejects it whole.
        schema: columns of those rows.
    """

    name: str
    load: Callable[[int], Sequence[ItemT]]
    work: Callable[[ItemT], list[Row | Rejected]]
    schema: pa.Schema


@dataclass(frozen=True)
class Tally:
    """What became of a corpus: rows that were kept, and what was rejected, by reason."""

    n_kept: int
    rejected: Counter[Reason]

    @property
    def n_all(self) -> int:
        """Kept and rejected."""
        return self.n_kept + self.rejected.total()

    @property
    def keep_rate(self) -> float:
        """Share that was kept, 0..1; 1 of nothing."""
        return self.n_kept / self.n_all if self.n_all else 1.0


def require_keep_rate(tally: Tally, least: float, corpus: str, stage: str, out: Path) -> None:
    """Check that enough of a corpus is left.

    Args:
        tally: of the stage; what the corpus' own lists leave out (`NOT_LISTED`) was never asked for.
        least: smallest share, 0..1.
        corpus: name.
        stage: whose section of params.yaml has the limit.
        out: folder with the stage's rejected.parquet.

    Raises:
        UserError: a smaller share was kept; the line says for which reason most were dropped.
    """
    dropped = tally.rejected.copy()
    del dropped[Reason.NOT_LISTED]
    asked = Tally(tally.n_kept, dropped)
    if asked.keep_rate < least:
        ((most, count),) = dropped.most_common(1)
        raise UserError(
            f"corpus {corpus}",
            f"only {asked.keep_rate:.0%} of {asked.n_all} samples were kept, at least {least:.0%} are needed; "
            f"{count} were dropped for {most}",
            f"look at {out / REJECTED}, or lower {stage}.min_keep_rate",
        )


def clip_limit_s() -> float:
    """Seconds after which work on one clip is taken to hang: SYNCTALK_CLIP_LIMIT_S, or `DEFAULT_LIMIT_S`.

    Raises:
        UserError: the variable is no positive number.
    """
    text = os.environ.get("SYNCTALK_CLIP_LIMIT_S", str(DEFAULT_LIMIT_S))
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UserError("SYNCTALK_CLIP_LIMIT_S", f"is {text!r}", "set it to a number of seconds")
    return limit


def part_path(folder: Path, number: int) -> Path:
    """File of a part; the names sort as the numbers do."""
    return folder / f"part-{number:06d}.parquet"


def n_parts_in(folder: Path) -> int:
    """Number of parts that an earlier stage left in `folder`.

    Raises:
        UserError: some are missing.
    """
    n_parts = sum(1 for _ in folder.glob("part-*.parquet"))
    if n_parts and not part_path(folder, n_parts - 1).is_file():
        raise UserError(folder, "lacks some of its parts", "run `dvc repro`")
    return n_parts


def _rejected_path(part: Path) -> Path:
    return part.with_suffix(f".{REJECTED}")


def _attempt(item: ItemT, work: Callable[[ItemT], list[Row | Rejected]]) -> list[Row | Rejected] | ClipError:
    try:
        return work(item)
    except ClipError as error:
        return error


@cache
def _clip_pool(process: int) -> WorkerPool:
    """The guarded process of this process, which `process` names: a forked one must not share its parent's."""
    return WorkerPool(1, daemon=True)


def make_part(number: int, stage: PartStage[ItemT], folder: Path) -> None:
    """Make one part in `folder`; the file of its rejected clips comes first, so that the part says that both are
    there.
    """
    items = stage.load(number)
    rows: list[Row] = []
    rejected: list[Rejected] = []
    attempt = partial(_attempt, work=stage.work)
    outcomes = _clip_pool(os.getpid()).map(attempt, items, limit_s=clip_limit_s(), tries=CLIP_TRIES)
    for item, outcome in zip(items, outcomes, strict=True):
        if isinstance(outcome, ClipError | Lost):
            rejected.append(Rejected(item.id, stage.name, outcome.reason, outcome.detail))
        else:
            rows += [row for row in outcome if not isinstance(row, Rejected)]
            rejected += [row for row in outcome if isinstance(row, Rejected)]
    path = part_path(folder, number)
    write_table(_rejected_path(path), map(asdict, rejected), REJECTED_SCHEMA)
    write_table(path, rows, stage.schema, PART_GROUP_ROWS)


def make_parts(label: str, stage: PartStage[ItemT], n_parts: int, folder: Path) -> Tally:
    """Make the parts that `folder`, a scratch, does not hold yet, and count what they all hold.

    Args:
        label: for the progress bar.
        stage: what is done.
        n_parts: parts 0 .. n_parts - 1.
        folder: on a cluster, seen by all nodes.

    Raises:
        UserError: a setting of the environment is wrong, or a worker is lost again and again.
    """
    clip_limit_s()
    todo = (number for number in range(n_parts) if not part_path(folder, number).exists())
    n_done = sum(1 for _ in folder.glob("part-??????.parquet"))
    try:
        for _ in map_ordered(partial(make_part, stage=stage, folder=folder), todo, label=label, total=n_parts - n_done):
            pass
    finally:
        _clip_pool(os.getpid()).close()
    n_kept = sum(pq.read_metadata(part_path(folder, number)).num_rows for number in range(n_parts))
    return Tally(n_kept, Counter(row.reason for row in rejected_of(folder, n_parts)))


def rejected_of(folder: Path, n_parts: int) -> Iterator[Rejected]:
    """What the parts of a scratch rejected, in their order."""
    for number in range(n_parts):
        yield from iter_rejected(_rejected_path(part_path(folder, number)))


def publish_rejected(folder: Path, n_parts: int, out: Path) -> None:
    """Put `rejected.parquet` of all parts of a scratch into `out`."""
    write_table(folder / REJECTED, map(asdict, rejected_of(folder, n_parts)), REJECTED_SCHEMA)
    publish(folder / REJECTED, out / REJECTED)


def publish_parts(folder: Path, n_parts: int, out: Path) -> None:
    """Put the parts of a scratch into `out`."""
    for number in range(n_parts):
        publish(part_path(folder, number), part_path(out, number))


def run_parts(
    label: str,
    key: Iterable[Any],
    stage: PartStage[ItemT],
    n_parts: int,
    out: Path,
    accept: Callable[[Tally], None] = lambda tally: None,
) -> None:
    """Make all parts of a corpus in a scratch that outlives kill -9, then put them and `rejected.parquet` into `out`.

    Args:
        label: "<stage> <corpus>", for the progress bar and the scratch.
        key: what decides the bytes, JSON-able: params and stamps of the inputs.
        stage: what is done.
        n_parts: parts 0 .. n_parts - 1.
        out: folder, made where missing.
        accept: raises `UserError` where too little is left to go on.
    """
    with scratch(label.replace(" ", "-"), *key) as folder:
        tally = make_parts(label, stage, n_parts, folder)
        publish_rejected(folder, n_parts, out)  # first, so that whoever is told that too little is left sees why
        accept(tally)
        publish_parts(folder, n_parts, out)
