"""Which corpus is planned, and the settings of the stages that it will go through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synctalk.corpora.params import CorpusParams
from synctalk.errors import UserError
from synctalk.faces.corpus import detector_params
from synctalk.faces.extract import CropParams
from synctalk.params.read import load, load_entry
from synctalk.shards.corpus import ShardParams

UNNAMED = CorpusParams(
    root="",
    layout="folder",
    detector="yunet",
    members=("faces", "mouth", "fbank", "mfcc"),
    max_segment_s=16.0,
    depends_on="manifest",
)
"""Of a corpus that params.yaml does not have: all that training looks at; long clips are cut as auto_avsr cuts them."""


@dataclass(frozen=True)
class CorpusSettings:
    """What the tried clips go through: one corpus, and the settings of its stages."""

    corpus: CorpusParams
    crop: CropParams
    shards: ShardParams

    @property
    def root(self) -> Path:
        return Path(self.corpus.root)


def choose_settings(name: str, *, layout: str, root: str, detector: str, weights: str) -> CorpusSettings:
    """The corpus of params.yaml called `name`, or one that it does not have, with params.yaml's settings; what is not
    empty stands instead of what params.yaml says.

    Raises:
        UserError: neither a name nor a layout and a root; a wrong layout or detector; or as `load`.
    """
    if not name and not (layout and root):
        raise UserError("plan", "no corpus is named", "give one of params.yaml, or --layout and --root")
    known = load_entry("corpora", name, CorpusParams) if name else UNNAMED
    given: dict[str, Any] = {"layout": layout, "root": root, "detector": detector}
    corpus = replace(known, **{key: value for key, value in given.items() if value})
    crop = load("crop", CropParams)
    if weights and detector_params(corpus.detector, crop) is not None:
        changed = replace(crop.detectors[corpus.detector], weights=weights)
        crop = replace(crop, detectors={**crop.detectors, corpus.detector: changed})
    return CorpusSettings(corpus, crop, load("shards", ShardParams))
