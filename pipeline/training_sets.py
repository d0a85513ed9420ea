"""Stage: params.yaml, shards -> for each training a file of the corpora that it learns from and the digests of their
shards: what it depends on, since the dependencies of a stage cannot follow a list of params.yaml.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.stage import run
from synctalk.atomic import write_json
from synctalk.errors import UserError
from synctalk.params.read import load
from synctalk.shards.read import INDEX
from synctalk.training.conformer import ConformerParams
from synctalk.training.finetune import FinetuneParams
from synctalk.training.observer import ObserverParams
from synctalk.training.pretrain import PretrainSection
from synctalk.training.syncnet import SyncNetParams


def named_corpora() -> dict[str, tuple[str, ...]]:
    """Training, as its file is called -> the corpora that params.yaml names for it."""
    observers, conformer = load("observers", dict[str, ObserverParams]), load("conformer", ConformerParams)
    return {
        "pretrain": load("pretrain", PretrainSection).corpora,
        **{f"finetune/{name}": entry.corpora for name, entry in load("finetune", dict[str, FinetuneParams]).items()},
        "syncnet": load("syncnet", SyncNetParams).corpora,
        **{f"observers/{name}": entry.recipe.corpora if entry.recipe else () for name, entry in observers.items()},
        "conformer": conformer.recipe.corpora if conformer.recipe else (),
    }


def shard_digests(shards: Path, corpora: Iterable[str]) -> dict[str, str]:
    """Corpus -> SHA-256 of the index of its shards, which holds that of every shard.

    Raises:
        UserError: a corpus has no shards.
    """
    digests = {}
    for corpus in corpora:
        index = shards / corpus / INDEX
        if not index.is_file():
            raise UserError(index, "is not there", f"name corpora that are packed, not {corpus!r}")
        digests[corpus] = hashlib.sha256(index.read_bytes()).hexdigest()
    return digests


def main(shards: Path, out: Path) -> None:
    """Write OUT/<training>.json of SHARDS, one folder a corpus."""
    for name, corpora in named_corpora().items():
        write_json(out / f"{name}.json", shard_digests(shards, corpora))


if __name__ == "__main__":
    run(main)
