"""Methods of others on the test clips: their videos are found by path, cut and judged as ours are.

A method of ours is judged on the stretch, face box and mouth of the real clip. So are these, which is why a video has
to show the whole clip in the clip's own picture size; `synctalk score`, which looks for faces itself, takes any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synctalk.errors import ClipError, UserError
from synctalk.evaluation.videos.corpus import ClipSetup, ClipVideo, decode_clip, prepare_decoded
from synctalk.evaluation.videos.findings import ClipFinding, Note, other_length, too_short, undecoded
from synctalk.evaluation.videos.pairs import videos_below, without_partner
from synctalk.evaluation.videos.prepared import Preparation
from synctalk.media import probe, resample_index
from synctalk.shards.clips import CorpusClips


@dataclass(frozen=True)
class Matched:
    """Videos of test clips in the order of the shards, and what has no partner."""

    videos: tuple[ClipVideo, ...]
    notes: tuple[Note, ...]


def corpus_folders(method: str, folder: Path, corpora: Sequence[str]) -> dict[str, Path]:
    """Corpus -> folder of the videos of `method` on it, for the corpora that have one.

    Raises:
        UserError: none has.
    """
    found = {corpus: folder / corpus for corpus in corpora if (folder / corpus).is_dir()}
    if not found:
        mend = f"make {' or '.join(f'{corpus}/' for corpus in corpora)} in it, with videos called as the clips"
        raise UserError(folder, f"holds no videos of {method}", mend)
    return found


def match_samples(test: CorpusClips, folder: Path) -> Matched:
    """Find the video of each sample by its id below `folder`.

    Raises:
        UserError: `folder` holds no video.
    """
    made, by_id = videos_below(folder), {clip.id: clip for clip in test.clips}
    rows = test.shards.rows
    videos = [
        ClipVideo(test.root, by_id[row.clip], test.shards[number], made[row.id], whole=True)
        for number, row in enumerate(rows)
        if row.id in made
    ]
    return Matched(tuple(videos), tuple(without_partner([row.id for row in rows], made)))


def prepare_external(video: ClipVideo, setup: ClipSetup) -> Preparation:
    """Prepare a clip as `prepare_clip` does; whatever is wrong with the generated file becomes a note.

    Raises:
        ClipError: the real clip cannot be decoded.
    """
    clip_id = video.sample.row.id
    notes: list[Note] = []
    assert video.generated is not None

    def unscored(finding: ClipFinding, detail: str) -> Preparation:
        return Preparation(None, (*notes, Note(clip_id, finding, False, detail)))

    real, _ = decode_clip(replace(video, generated=None))
    n_clip = _n_frames(video.root / video.clip.video)
    try:
        frames, pcm = decode_clip(video)
        n_made = _n_frames(video.generated)
    except ClipError as error:
        return unscored(undecoded(error.reason), error.detail)
    if n_made != n_clip:
        notes.append(other_length(clip_id, n_made, n_clip))
    if (detail := too_short(len(frames), len(pcm))) is not None:
        return unscored(ClipFinding.TOO_SHORT, detail)
    if frames.shape[1:] != real.shape[1:]:
        sizes = [f"{one.shape[2]}x{one.shape[1]}" for one in (frames, real)]
        detail = f"{sizes[0]} pixels, {sizes[1]} in the real video, whose face boxes do not fit it"
        return unscored(ClipFinding.OTHER_SIZE, detail)
    return Preparation(prepare_decoded(video, frames, pcm, real, setup), tuple(notes))


def _n_frames(path: Path) -> int:
    """Frames of a video's 25 fps time line."""
    stream = probe(path).video
    return 0 if stream is None else len(resample_index(stream))
