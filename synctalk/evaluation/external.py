"""Methods of others on the test clips: their videos are found by path, cut and judged as ours are.

A method of ours is judged on the stretch, face box and mouth of the real clip. So are these, which is why a video has
to show the whole clip in the clip's own picture size; `synctalk score`, which looks for faces itself, takes any other.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from synctalk.corpora.records import Clip
from synctalk.errors import ClipError, UserError
from synctalk.evaluation.foreign import MIN_FRAMES, UNREADABLE, Filmed, score_filmed
from synctalk.evaluation.pairs import Finding, Note, videos_below, without_partner
from synctalk.evaluation.pictures import Take, film_frames, prepare
from synctalk.evaluation.score import ClipScore, Judges
from synctalk.features.syncnet_input import View
from synctalk.media import probe, resample_index
from synctalk.models.syncnet import SyncNetConfig
from synctalk.runtime.jobs import map_ordered
from synctalk.shards.read import ShardSet
from synctalk.timebase import n_whole_frames

FINDINGS_HEADER = ("corpus", "id", "finding", "scored", "detail")


@dataclass(frozen=True)
class Matched:
    """Test clips that have a video, in the order of the shards, and what has no partner."""

    takes: tuple[Take, ...]
    notes: tuple[Note, ...]


def role_folders(method: str, folder: Path, roles: Sequence[str]) -> dict[str, Path]:
    """Role -> folder of the videos of `method` on it, for the roles that have one.

    Raises:
        UserError: none has.
    """
    found = {role: folder / role for role in roles if (folder / role).is_dir()}
    if not found:
        mend = f"make {' or '.join(f'{role}/' for role in roles)} in it, with videos called as the clips"
        raise UserError(folder, f"holds no videos of {method}", mend)
    return found


def match_samples(root: Path, clips: Sequence[Clip], shards: ShardSet, folder: Path) -> Matched:
    """Find the video of each sample of `shards` by its id below `folder`.

    Raises:
        UserError: `folder` holds no video.
    """
    made, by_id = videos_below(folder), {clip.id: clip for clip in clips}
    ids = [row.id for row in shards.rows]
    takes = [
        Take(root, by_id[row.clip], shards[number], made[row.id], whole=True)
        for number, row in enumerate(shards.rows)
        if row.id in made
    ]
    return Matched(tuple(takes), tuple(without_partner(ids, made)))


def film_external(
    take: Take, face_size: int, mouth_size: int, view: View, judge: SyncNetConfig, *, jpeg: bool = False
) -> Filmed:
    """Prepare one take as `film` does; whatever is wrong with its video becomes a note.

    Raises:
        ClipError: the real clip cannot be decoded.
    """
    row = take.sample.row
    notes: list[Note] = []
    assert take.generated is not None

    def filmed(finding: Finding, detail: str) -> Filmed:
        return Filmed(None, (*notes, Note(row.id, finding, False, detail)))

    real, _ = film_frames(replace(take, generated=None))
    n_clip = _n_frames(take.root / take.clip.video)
    try:
        frames, pcm = film_frames(take)
        n_made = _n_frames(take.generated)
    except ClipError as error:
        return filmed(UNREADABLE.get(error.reason, Finding.UNREADABLE), error.detail)
    if n_made != n_clip:
        finding = Finding.SHORTER if n_made < n_clip else Finding.LONGER
        detail = f"{n_made} frames, {n_clip} in the real video; what both have is scored"
        notes.append(Note(row.id, finding, True, detail))
    if min(len(frames), n_whole_frames(len(pcm))) < MIN_FRAMES:
        return filmed(
            Finding.TOO_SHORT, f"{len(frames)} frames and {len(pcm)} samples, {MIN_FRAMES} frames of both are needed"
        )
    if frames.shape[1:] != real.shape[1:]:
        sizes = [f"{one.shape[2]}x{one.shape[1]}" for one in (frames, real)]
        return filmed(
            Finding.OTHER_SIZE, f"{sizes[0]} pixels, {sizes[1]} in the real video, whose face boxes do not fit it"
        )
    return Filmed(prepare(take, frames, pcm, real, face_size, mouth_size, view, judge, jpeg=jpeg), tuple(notes))


def _n_frames(path: Path) -> int:
    """Frames of a video's 25 fps time line."""
    stream = probe(path).video
    return 0 if stream is None else len(resample_index(stream))


def score_external(
    matched: Matched, judges: Judges, *, face_size: int, mouth_size: int, label: str
) -> tuple[list[ClipScore], list[Note]]:
    """Scores of what could be scored, in order, and everything that is to be said of the others."""
    assert judges.sync is not None
    sync = judges.sync
    film = partial(
        film_external,
        face_size=face_size,
        mouth_size=mouth_size,
        view=sync.view,
        judge=sync.model.config,
        jpeg=sync.jpeg,
    )
    scores, notes = score_filmed(map_ordered(film, matched.takes, label=f"film {label}"), judges)
    return scores, [*matched.notes, *notes]


def write_findings(path: Path, notes: Mapping[str, Sequence[Note]]) -> None:
    """Write notes by role as CSV: corpus, id, finding, scored (true or false), detail; sorted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FINDINGS_HEADER)
        for role, found in notes.items():
            for note in sorted(found, key=lambda note: (note.id, note.finding, note.detail)):
                writer.writerow([role, note.id, note.finding, str(note.scored).lower(), note.detail])
