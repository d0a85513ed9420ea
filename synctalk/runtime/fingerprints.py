"""Short hashes: of values, of files, and of the project's code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def fingerprint(*parts: Any) -> str:  # noqa: ANN401  # anything that JSON can say
    """Short hash of JSON-able parts, for the names of scratch folders and units of work."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest(parts: Iterable[Any]) -> str:
    """`fingerprint` of many parts, taken one at a time."""
    running = hashlib.sha256()
    for part in parts:
        running.update(fingerprint(part).encode())
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
    digest = hashlib.sha256()
    for source in sorted([*package.rglob("*.py"), *(package.parent / "pipeline").glob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
