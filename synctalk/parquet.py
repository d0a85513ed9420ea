"""Parquet files: written whole with equal bytes for equal rows, read against a schema, never more than needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from synctalk.atomic import appearing
from synctalk.errors import UserError

GROUP_ROWS = 1024
"""Rows of a row group: what is in memory at a time, and what reading one clip costs."""


def write_table(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema, group_rows: int = GROUP_ROWS) -> None:
    """Write `rows` as parquet, zstd, `group_rows` at a time; equal rows, equal bytes."""
    source = iter(rows)
    with (
        appearing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        while group := list(islice(source, group_rows)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema), group_rows)


@contextmanager
def _undamaged(what: str | Path) -> Iterator[None]:
    """What pyarrow finds wrong with the bytes of `what` becomes a `UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(what, "is not there", "run `dvc repro`") from error
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is none
        raise UserError(what, "is no parquet file, or damaged", "delete it and run `dvc repro`") from error


def _type(field: pa.Field) -> pa.DataType:
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type


def open_table(
    source: Path | BinaryIO, what: str | Path, schema: pa.Schema, repeating: Sequence[str] = ()
) -> pq.ParquetFile:
    """A parquet file that has exactly the columns of `schema`.

    Args:
        source: the file.
        what: its name in errors.
        schema: columns that it must have.
        repeating: text columns of few values, which are kept as numbers into a dictionary.

    Raises:
        UserError: the file is missing, no parquet, damaged, or has other columns.
    """
    with _undamaged(what):
        file = pq.ParquetFile(source, read_dictionary=list(repeating), page_checksum_verification=True)
        found = file.schema_arrow
    if found.names != schema.names:
        raise UserError(what, f"has the columns {found.names}, not {schema.names}", "run `dvc repro`")
    other = next((field for field, wanted in zip(found, schema, strict=True) if _type(field) != wanted.type), None)
    if other is not None:
        wanted = schema.field(other.name).type
        raise UserError(what, f"its column {other.name} is of {_type(other)}, not of {wanted}", "run `dvc repro`")
    return file


def iter_rows(
    path: Path, schema: pa.Schema, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of a parquet file, one row group in memory at a time.

    Args:
        path: the file.
        schema: that it must have.
        columns: names of those that are wanted; all where None.
        groups: numbers of the row groups that are wanted; all where None.

    Raises:
        UserError: as `open_table`.
    """
    with open_table(path, path, schema) as file:
        for group in range(file.num_row_groups) if groups is None else groups:
            with _undamaged(path):
                rows = file.read_row_group(group, columns, use_threads=False).to_pylist()
            yield from rows


def parse_table(
    source: Path | BinaryIO, what: str | Path, schema: pa.Schema, repeating: Sequence[str] = ()
) -> pa.Table:
    """All columns of a parquet file; arguments and errors as `open_table`."""
    with open_table(source, what, schema, repeating) as file, _undamaged(what):
        return file.read()


def read_table(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Rows of a parquet file that has exactly the columns of `schema`.

    Raises:
        UserError: as `open_table`.
    """
    return list(iter_rows(path, schema))
