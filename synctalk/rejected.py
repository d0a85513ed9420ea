"""Clips that were dropped, and the parquet files that list them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from synctalk.errors import Reason
from synctalk.parquet import iter_rows, write_table


@dataclass(frozen=True)
class Rejected:
    """A clip that was dropped: by which stage, why (closed set), and the measured figure in one line."""

    id: str
    stage: str
    reason: Reason
    detail: str


REJECTED_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "stage", "reason", "detail")])


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Write dropped clips to parquet, sorted by id."""
    write_table(path, [asdict(row) for row in sorted(rejected, key=lambda row: (row.id, row.stage))], REJECTED_SCHEMA)


def iter_rejected(path: Path) -> Iterator[Rejected]:
    """Dropped clips of a parquet, some in memory at a time.

    Raises:
        UserError: as `open_table`.
    """
    return (Rejected(**{**row, "reason": Reason(row["reason"])}) for row in iter_rows(path, REJECTED_SCHEMA))


def read_rejected(path: Path) -> list[Rejected]:
    """Dropped clips of a parquet.

    Raises:
        UserError: as `open_table`.
    """
    return list(iter_rejected(path))
