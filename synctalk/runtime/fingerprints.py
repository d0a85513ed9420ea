"""Short hashes: of values, of files, and of the project's code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def fingerprint(*values: Any) -> str:  # noqa: ANN401  # anything that JSON can say
    """Short hash of JSON-able values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest(values: Iterable[Any]) -> str:
    """`fingerprint` of many values, taken one at a time."""
    running = hashlib.sha256()
    for value in values:
        running.update(fingerprint(value).encode())
    return running.hexdigest()[:16]


def content_key(*paths: Path | None) -> list[str]:
    """Hash of each file, or of the index of each folder of shards or clusters: what a resumed run must have begun
    with.
    """
    key = []
    for path in paths:
        if path is None:
            key.append("")
            continue
        files = [path] if path.is_file() else sorted(path.glob("*.parquet")) + sorted(path.glob("*.safetensors"))
        key.append(hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest())
    return key


def code_fingerprint() -> str:
    """Hash of the project's Python sources: resumed work must come from the code that began it."""
    package = Path(__file__).parents[1]
    running = hashlib.sha256()
    for source in sorted([*package.rglob("*.py"), *(package.parent / "pipeline").glob("*.py")]):
        running.update(source.read_bytes())
    return running.hexdigest()[:16]
