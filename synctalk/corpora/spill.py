"""Sorting more rows than memory should hold: a table on disk, which SQLite keeps in the order of its key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote


class Spill:
    """Rows, JSON-able, that are added in any order and given back sorted; of equal keys the first comes first.

    Args:
        path: file, made anew. Its folder belongs to this process alone: nothing is locked, so that network file systems
            without locks will do.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.table = sqlite3.connect(f"file:{quote(str(path))}?nolock=1", uri=True, isolation_level=None)
        self.table.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        self.table.execute("CREATE TABLE rows (key TEXT, number INTEGER, row TEXT, PRIMARY KEY (key, number))")
        self.n_rows = 0

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Take a row; keys are compared by their code points, as Python compares text."""
        self.table.execute("INSERT INTO rows VALUES (?, ?, ?)", (key, self.n_rows, json.dumps(row)))
        self.n_rows += 1

    def extend(self, rows: Iterable[dict[str, Any]], key: str) -> None:
        """Take many rows, each by what it has under `key`."""
        for row in rows:
            self.add(row[key], row)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (json.loads(row) for (row,) in self.table.execute("SELECT row FROM rows ORDER BY key, number"))

    def close(self) -> None:
        """Let go of the file."""
        self.table.close()

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
