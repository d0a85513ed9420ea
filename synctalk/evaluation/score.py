"""Clips before the judges: whatever prepares them, they are scored here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from synctalk.evaluation.judges.panel import Judges, judge_videos
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.corpus import ClipVideo
from synctalk.evaluation.videos.findings import Note
from synctalk.evaluation.videos.prepared import Preparation, PreparedVideo
from synctalk.runtime.jobs import map_ordered


def score_clips(
    videos: Sequence[ClipVideo],
    prepare: Callable[[ClipVideo], Preparation],
    judges: Judges,
    *,
    label: str,
) -> tuple[list[ClipScore], list[Note]]:
    """Scores of clips in their order, and what is to be said of them. The decoding runs in processes, the judges here.

    Args:
        videos: what to score.
        prepare: `prepare_clip` of real and of our videos, `prepare_external` of somebody else's, with their setup.
        judges: who scores.
        label: what the progress bar says.
    """
    return score_prepared(map_ordered(prepare, videos, label=f"decode {label}"), judges)


def score_prepared(prepared: Iterable[Preparation], judges: Judges) -> tuple[list[ClipScore], list[Note]]:
    """Let the judges score what could be prepared; beside the scores everything that is to be said."""
    notes: list[Note] = []

    def ready() -> Iterator[PreparedVideo]:
        for one in prepared:
            notes.extend(one.notes)
            if one.video is not None:
                yield one.video

    return judge_videos(ready(), judges), notes
