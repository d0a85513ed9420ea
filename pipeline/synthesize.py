"""Stage: a recipe -> a synthetic corpus in the official layout of the one it looks like."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.corpora.synthetic.synthesize import synthesize
from synctalk.params.read import RECIPES, load
from synctalk.runtime.mapping import n_workers


def main(corpus: str, root: Path) -> None:
    """Make the look-alike of CORPUS in the folder ROOT."""
    synthesize(load(corpus, SyntheticCorpus, RECIPES), root, n_workers())


if __name__ == "__main__":
    run(main)
