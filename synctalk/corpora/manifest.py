"""Manifest of a corpus: path, size and time of every file, in one file that DVC hashes instead of the whole tree.

DVC hashes every file of a folder that a stage depends on, and looks at every one again, stage by stage, whenever it is
asked for its status: minutes for 100,000 clips. A manifest is a single dependency, which is as new as the last
`python -m pipeline.manifest`; the stages that read a whole corpus refuse to work from one that is out of date.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from synctalk.corpora.params import CorpusParams
from synctalk.errors import UserError
from synctalk.params.read import PARAMS, SYNTHETIC

SUFFIX = ".jsonl"
"""By which `corpora.<name>.depends_on` names a manifest and not the root itself."""

MEND = "run `python -m pipeline.manifest`"

THREADS = 32
"""Folders looked at side by side: a network disk takes long over each and minds no company."""


@dataclass(frozen=True)
class Changes:
    """How the files of two manifests differ, and the path of one that does; "" where none."""

    new: int
    gone: int
    altered: int
    example: str

    def __str__(self) -> str:
        counts = f"{self.new:,} new, {self.gone:,} gone and {self.altered:,} altered files"
        return f"{counts}, such as {self.example}" if self.example else counts


def is_manifest(depends_on: str) -> bool:
    """Whether `corpora.<name>.depends_on` names a manifest."""
    return depends_on.endswith(SUFFIX)


def take_manifest(root: Path) -> str:
    """Manifest of the corpus in `root`: a line [path, bytes, modification time in whole seconds] for each file, in an
    order that is always the same. Links are followed; one that leads nowhere has -1 bytes. Hidden files are left out.

    Raises:
        UserError: the root or a folder in it cannot be read.
    """
    level, blocks = [""], []
    with ThreadPoolExecutor(THREADS) as pool:
        while level:
            looks = list(pool.map(lambda folder: _look(root, folder), level))
            blocks += [(folder, lines) for folder, (_, lines) in zip(level, looks, strict=True) if lines]
            level = [inside for folders, _ in looks for inside in folders]
    return "".join(lines for _, lines in sorted(blocks))


def _look(root: Path, folder: str) -> tuple[list[str], str]:
    """Folders in the folder, and the lines of its files; paths relative to the root, ending in "/" or beginning so."""
    folders, lines = [], []
    try:
        with os.scandir(root / folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                folders.append(f"{folder}{entry.name}/")
            else:
                lines.append(json.dumps([folder + entry.name, *_size_and_time(entry)]) + "\n")
    except OSError as error:
        raise UserError(
            root / folder, f"cannot be read ({error.strerror})", "look at its place, its rights and its links"
        ) from error
    return folders, "".join(lines)


def _size_and_time(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        status = entry.stat()
    except FileNotFoundError:
        return -1, 0
    return status.st_size, int(status.st_mtime)


def changes(old: str, new: str) -> Changes:
    """How two manifests differ.

    Raises:
        ValueError: one is no manifest.
    """
    before, after = _files(old), _files(new)
    fresh, gone = after.keys() - before.keys(), before.keys() - after.keys()
    altered = {path for path in after.keys() & before.keys() if after[path] != before[path]}
    return Changes(len(fresh), len(gone), len(altered), min(fresh | gone | altered, default=""))


def _files(manifest: str) -> dict[str, tuple[int, int]]:
    try:
        return {path: (size, time) for path, size, time in map(json.loads, manifest.splitlines())}
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a line is no [path, bytes, time]: {error}") from error


def read_manifest(path: Path) -> str:
    """Text of a manifest.

    Raises:
        UserError: it is not there, or no manifest.
    """
    try:
        text = path.read_text(encoding="ascii")
        _files(text)
    except FileNotFoundError as error:
        raise UserError(path, "is not there", MEND) from error
    except ValueError as error:
        raise UserError(path, f"is no manifest ({error})", f"delete it and {MEND}") from error
    return text


def require_depends_on(name: str, entry: CorpusParams) -> None:
    """Check that DVC watches a corpus by its root or by a manifest; a synthetic one, which it makes, by its root.

    Raises:
        UserError: it does not.
    """
    own = not Path(entry.root).is_relative_to(SYNTHETIC)
    if entry.depends_on != entry.root and not (own and is_manifest(entry.depends_on)):
        raise UserError(
            PARAMS,
            f"corpora.{name}.depends_on is {entry.depends_on!r}, the root is {entry.root!r}",
            f"set both to the same folder, or let a corpus of your own depend on a manifest ({SUFFIX})",
        )


def require_current(name: str, entry: CorpusParams, root: Path) -> None:
    """Check that what DVC watches of the corpus in `root` tells of the files that are there.

    Raises:
        UserError: as `require_depends_on`; or the manifest is missing or out of date.
    """
    require_depends_on(name, entry)
    if not is_manifest(entry.depends_on):
        return
    old, new = read_manifest(Path(entry.depends_on)), take_manifest(root)
    if old != new:
        raise UserError(entry.depends_on, f"is out of date: {changes(old, new)}", MEND)
