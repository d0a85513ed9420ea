"""Scoring a folder of videos: part by part, resumable, the same figures for any count of workers."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from synctalk import __version__
from synctalk.evaluation.bootstrap import Interval
from synctalk.evaluation.judges.panel import Judges
from synctalk.evaluation.judges.perceptual import ClipLpips, Fid, Nets, mean_lpips, perceive, write_lpips
from synctalk.evaluation.score import score_prepared
from synctalk.evaluation.scores import ClipScore, offset_counts, summarise, write_scores
from synctalk.evaluation.videos.findings import ClipFinding, Note, write_notes
from synctalk.evaluation.videos.foreign import Setup, prepare_pair
from synctalk.evaluation.videos.pairs import Matching, Pair
from synctalk.evaluation.videos.prepared import Preparation
from synctalk.runtime.jobs import map_ordered, scratch, write_json

PART = 16
"""Clips a part: what is scored at a time, and what a kill may cost."""


@dataclass(frozen=True)
class Scored:
    """Everything that was found of a folder.

    Attributes:
        scores: one row a clip that could be scored, in the order of the matching.
        notes: whatever else is to be said, of scored clips too.
        figures: means with their 95 % intervals.
        lpips: of each clip; empty where it was not asked for.
        fid: Fréchet distance of all frames; None where it was not asked for.
    """

    scores: tuple[ClipScore, ...]
    notes: tuple[Note, ...]
    figures: dict[str, Interval]
    lpips: tuple[ClipLpips, ...] = ()
    fid: Fid | None = None


def score_matching(
    matching: Matching, setup: Setup, judges: Judges, *, judged_by: Sequence[str], wer_name: str, out: Path
) -> Scored:
    """Score every pair, going on where an interrupted run of the same files and judges stopped.

    Args:
        matching: what to score.
        setup: how clips are prepared.
        judges: who scores.
        judged_by: hashes of the judges' files: a run with others begins anew.
        wer_name: name of the word error rate.
        out: folder for the unfinished parts.
    """
    stamps = [_stamp(pair) for pair in matching.pairs]
    beam = judges.lips.beam if judges.lips else None
    dtype = str(judges.sync.model.lip_dtype) if judges.sync else None
    with scratch("parts", asdict(setup), dtype, beam, list(judged_by), stamps, root=out / ".unfinished") as folder:
        files = [folder / f"part-{start // PART:05d}.json" for start in range(0, len(matching.pairs), PART)]
        todo = [number for number, file in enumerate(files) if not file.exists()]
        pairs = [pair for number in todo for pair in matching.pairs[number * PART : (number + 1) * PART]]
        prepared = map_ordered(partial(prepare_pair, setup=setup), pairs, label="score")
        for number in todo:
            count = len(matching.pairs[number * PART : (number + 1) * PART])
            write_json(files[number], _score_part(islice(prepared, count), judges))
        parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    shutil.rmtree(out / ".unfinished")
    scores = tuple(ClipScore(**row) for part in parts for row in part["scores"])
    found = [_note(row) for part in parts for row in part["notes"]]
    return Scored(scores, (*matching.notes, *found), summarise(scores, wer_name))


def add_perceptual(scored: Scored, matching: Matching, nets: Nets, out: Path) -> Scored:
    """`scored` with LPIPS and FID of what was scored, where their networks are given; OUT/lpips.parquet says LPIPS of
    each clip.
    """
    ids = {score.id for score in scored.scores}
    clips, fid = perceive([pair for pair in matching.pairs if pair.id in ids], nets.lpips, nets.inception)
    if nets.lpips is not None:
        write_lpips(out / "lpips.parquet", clips)
    figures = scored.figures | ({"frame_lpips": mean_lpips(clips)} if clips else {})
    return replace(scored, figures=figures, lpips=tuple(clips), fid=fid)


def write_scored(scored: Scored, setting: dict[str, Any], out: Path) -> None:
    """Write clips.parquet, notes.parquet and summary.json into the folder `out`.

    Args:
        scored: what was found.
        setting: protocol and judges, as they stand in the summary.
        out: folder, made where missing.
    """
    write_scores(out / "clips.parquet", scored.scores)
    write_notes(out / "notes.parquet", scored.notes)
    write_json(out / "summary.json", summary(scored, setting))


def summary(scored: Scored, setting: dict[str, Any]) -> dict[str, Any]:
    """Counts, windows of all clips, clips at each offset, figures with intervals, protocol and judges."""
    return {
        "version": __version__,
        "setting": setting,
        "clips": {
            "scored": len(scored.scores),
            "not_scored": len({note.id for note in scored.notes if not note.scored}),
            "notes": dict(sorted(Counter(str(note.finding) for note in scored.notes).items())),
        },
        "n_windows": sum(score.n_windows or 0 for score in scored.scores),
        "offsets": offset_counts(scored.scores),
        "figures": {name: asdict(interval) for name, interval in scored.figures.items()},
        **({} if scored.fid is None else {"fid": asdict(scored.fid)}),
    }


def _score_part(prepared: Iterable[Preparation], judges: Judges) -> dict[str, Any]:
    """Scores and notes of one part, as JSON."""
    scores, notes = score_prepared(prepared, judges)
    return {"scores": [asdict(score) for score in scores], "notes": [asdict(note) for note in notes]}


def _note(row: dict[str, Any]) -> Note:
    return Note(row["id"], ClipFinding(row["finding"]), row["scored"], row["detail"])


def _stamp(pair: Pair) -> list[Any]:
    """Identity of a pair's files: names, bytes and times of change, and its sentence."""
    files = [path for path in (pair.generated, pair.reference) if path is not None]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [pair.id, stats, pair.comparable, pair.transcript]
