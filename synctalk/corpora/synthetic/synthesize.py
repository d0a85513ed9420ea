"""Make a whole synthetic corpus on disk."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

from synctalk.corpora.phones import PHONEMES, PhoneRow, write_phonemes
from synctalk.corpora.synthetic.layout import phone_rows, write_clip, write_lists
from synctalk.corpora.synthetic.perform import draw_recording, perform, track_of
from synctalk.corpora.synthetic.plan import PlannedRecording, plan
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.corpora.synthetic.stage import build_stage
from synctalk.errors import UserError
from synctalk.runtime.mapping import map_ordered


def synthesize_recording(planned: PlannedRecording, recipe: SyntheticCorpus, root: Path) -> list[PhoneRow]:
    """Write all clips of one recording below `root` and return their phones; depends on nothing else."""
    stage = build_stage(draw_recording(recipe, planned.speaker, planned.take))
    rows: list[PhoneRow] = []
    for number in range(planned.n_utterances):
        n_sentences = recipe.pretrain_sentences if planned.split == "pretrain" else 1
        performance = perform(recipe, planned.speaker, planned.take, number, n_sentences)
        clip_id = planned.clip_id(number)
        write_clip(root, recipe, clip_id, stage, performance, track_of(stage, performance))
        rows += phone_rows(clip_id, performance)
    return rows


def synthesize(recipe: SyntheticCorpus, root: Path, workers: int | None = None) -> None:
    """Make the corpus at `root`: it appears there when it is whole, byte for byte the same for any `workers`.

    It is built in a hidden folder beside `root`; what an interrupted run left there is removed by the next.

    Args:
        recipe: what to make.
        root: folder to make; one that `synthesize` made before is replaced.
        workers: processes; `n_workers` where None.

    Raises:
        UserError: the recipe contradicts itself, or `root` holds files that are not ours.
    """
    root = root.resolve()
    if root.exists() and not root.is_dir():
        raise UserError(root, "is no folder", "remove it or take another corpora.<name>.root")
    if root.is_dir() and any(root.iterdir()) and not (root / PHONEMES).is_file():
        raise UserError(
            root, "holds files that are no synthetic corpus", "empty it or take another corpora.<name>.root"
        )
    recordings = plan(recipe)
    building, replaced = root.with_name(f".{root.name}.building"), root.with_name(f".{root.name}.replaced")
    for leftover in (building, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    building.mkdir(parents=True)
    work = functools.partial(synthesize_recording, recipe=recipe, root=building)
    rows = [
        row
        for part in map_ordered(work, recordings, label=f"synthetic {recipe.layout}", workers=workers)
        for row in part
    ]
    write_lists(building, recipe, recordings)
    write_phonemes(building, rows)
    if root.exists():
        # moved first: a deletion that is interrupted would leave half a corpus
        os.replace(root, replaced)
    os.replace(building, root)
    shutil.rmtree(replaced, ignore_errors=True)
