"""The recipes of the look-alikes, cut down for tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from synctalk.corpora.synthetic.recipe import PerSplit, SyntheticCorpus
from synctalk.params.read import RECIPES, read_yaml, validate

LAYOUTS = ("lrs2", "lrs3", "voxceleb2", "grid", "folder")


def per_split(pretrain: int = 0, train: int = 0, val: int = 0, test: int = 0) -> PerSplit:
    return PerSplit(pretrain=pretrain, train=train, val=val, test=test)


@cache
def recipe_of(name: str) -> SyntheticCorpus:
    """The recipe called `name` as it stands in data/synthetic; that of a layout which is not there, after LRS2's."""
    recipes = validate(read_yaml(Path(__file__).parents[2] / RECIPES), dict[str, SyntheticCorpus], "")
    if name in recipes:
        return recipes[name]
    return replace(recipes["lrs2"], layout=name, seed=10 + LAYOUTS.index(name))


def cut(name: str, utterances: PerSplit, speakers: PerSplit, recordings_per_speaker: int = 1) -> SyntheticCorpus:
    """The recipe `name` with other counts."""
    return replace(
        recipe_of(name), utterances=utterances, speakers=speakers, recordings_per_speaker=recordings_per_speaker
    )


def small(name: str) -> SyntheticCorpus:
    """Six clips or so of the recipe `name`, in all splits of its layout."""
    if name == "voxceleb2":
        return cut(name, per_split(pretrain=4, test=2), per_split(pretrain=2, test=1))
    if name == "grid":
        return cut(name, per_split(train=3, val=1, test=2), per_split(train=2, val=1, test=1))
    counts = per_split(pretrain=1, train=3, val=1, test=2)
    return cut(name, counts, per_split(pretrain=1, train=2, val=1, test=1))
