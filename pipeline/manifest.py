"""Manifests of the corpora whose `depends_on` is one: run it before the first `dvc repro`, and again after a change of
the corpus.
"""

from __future__ import annotations

from pathlib import Path

import typer

from pipeline.stage import run
from synctalk.atomic import write_text
from synctalk.corpora.manifest import changes, is_manifest, read_manifest, take_manifest
from synctalk.corpora.params import CorpusParams
from synctalk.params.read import load


def main() -> None:
    """Write the manifest of every corpus whose `depends_on` in params.yaml is one, and say what has changed."""
    for name, corpus in load("corpora", dict[str, CorpusParams]).items():
        if not is_manifest(corpus.depends_on):
            continue
        path, new = Path(corpus.depends_on), take_manifest(Path(corpus.root))
        old = read_manifest(path) if path.exists() else ""
        write_text(path, new)
        typer.echo(f"{name}: {new.count(chr(10)):,} files in {path}; {changes(old, new)}")


if __name__ == "__main__":
    run(main)
