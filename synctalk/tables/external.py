"""Rows of tables 1 and 4 that are of other people's methods: see `synctalk.evaluation.external`."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synctalk.params.read import load
from synctalk.params.section import section
from synctalk.tables.table import Intervals


@section
class ExternalParams:
    """Methods of others (params.yaml: `external`)."""

    methods: tuple[str, ...]
    """Those that have rows in tables 1 and 4: the paper's figures, and "not run" until there are videos."""
    videos: dict[str, str]
    """Method to the folder of its videos: `<corpus>/<id of a test clip>.mp4`, the id being the clip's path in its
    corpus without suffix. A corpus without a folder is not run, and a clip without a video is listed. Each video shows
    the whole clip in the clip's own picture size, and has its audio.
    """


@dataclass(frozen=True)
class External:
    """What was found of the external methods.

    Attributes:
        rows: all of them, run or not.
        videos: folders of those that were run.
        intervals: method -> corpus -> metric -> interval, of those that were run.
        unscored: what of their videos has no figures, in words; "" where nothing is.
    """

    rows: tuple[str, ...]
    videos: Mapping[str, Path]
    intervals: Mapping[str, Intervals]
    unscored: str


def load_external(results: Path) -> External:
    """The external methods of params.yaml, with the figures in RESULTS/<method>; what lies there of a method that is no
    longer given videos does not count.

    Raises:
        UserError: the section is missing or wrong.
    """
    params = load("external", ExternalParams)
    intervals, sentences = {}, []
    for name in params.videos:
        intervals[name] = json.loads((results / name / "intervals.json").read_text(encoding="utf-8"))
        notes = results / name / "notes.csv"
        with notes.open(encoding="utf-8", newline="") as file:
            counted = count_unscored(list(csv.DictReader(file)))
        sentences += [f"Not scored of {name} on {corpus}: {found} ({notes})." for corpus, found in counted.items()]
    videos = {name: Path(folder) for name, folder in params.videos.items()}
    return External(params.methods, videos, intervals, " ".join(sentences))


def count_unscored(notes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Corpus -> `2 missing, 1 unreadable`, of the notes on videos without scores."""
    kept = [note for note in notes if note["scored"] == "false"]
    return {
        corpus: ", ".join(
            f"{count} {finding.replace('_', ' ')}"
            for finding, count in sorted(Counter(n["finding"] for n in kept if n["corpus"] == corpus).items())
        )
        for corpus in dict.fromkeys(note["corpus"] for note in kept)
    }
