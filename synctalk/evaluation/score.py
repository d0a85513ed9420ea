"""Clips before the judges: whatever prepares them, they are scored here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from synctalk.evaluation.judges.panel import Judges, judge_videos
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.corpus import ClipVideo, film
from synctalk.evaluation.videos.external import Matched, prepare_external
from synctalk.evaluation.videos.foreign import Preparation
from synctalk.evaluation.videos.pairs import Note
from synctalk.evaluation.videos.pictures import PreparedVideo
from synctalk.runtime.mapping import map_ordered


def score_clip_videos(
    takes: Sequence[ClipVideo], judges: Judges, *, face_size: int, mouth_size: int, label: str
) -> list[ClipScore]:
    """Score takes, in their order, by both judges. The decoding runs in processes, the judges here."""
    assert judges.sync is not None
    sync = judges.sync
    prepare = partial(
        film, face_size=face_size, mouth_size=mouth_size, view=sync.view, judge=sync.model.config, jpeg=sync.jpeg
    )
    return judge_videos(map_ordered(prepare, takes, label=f"film {label}"), judges)


def score_prepared(filmed: Iterable[Preparation], judges: Judges) -> tuple[list[ClipScore], list[Note]]:
    """Let the judges score what could be prepared; beside the scores everything that is to be said."""
    notes: list[Note] = []

    def ready() -> Iterator[PreparedVideo]:
        for one in filmed:
            notes.extend(one.notes)
            if one.footage is not None:
                yield one.footage

    return judge_videos(ready(), judges), notes


def score_external(
    matched: Matched, judges: Judges, *, face_size: int, mouth_size: int, label: str
) -> tuple[list[ClipScore], list[Note]]:
    """Scores of what could be scored, in order, and everything that is to be said of the others."""
    assert judges.sync is not None
    sync = judges.sync
    film = partial(
        prepare_external,
        face_size=face_size,
        mouth_size=mouth_size,
        view=sync.view,
        judge=sync.model.config,
        jpeg=sync.jpeg,
    )
    scores, notes = score_prepared(map_ordered(film, matched.takes, label=f"film {label}"), judges)
    return scores, [*matched.notes, *notes]
