"""The layouts of corpora by name, and the probing of their clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from synctalk.corpora import folder, grid, lrs2, lrs3, voxceleb2
from synctalk.corpora.listing import Entry, Reading, reading, reject
from synctalk.corpora.records import Clip
from synctalk.errors import ClipError, Reason, UserError
from synctalk.rejected import Rejected

READERS: Mapping[str, Callable[[Path], Iterator[Entry]]] = {
    "lrs2": lrs2.read,
    "lrs3": lrs3.read,
    "voxceleb2": voxceleb2.read,
    "grid": grid.read,
    "folder": folder.read,
}


@dataclass(frozen=True)
class ProbedClip:
    """A clip with what its files hold, and the frames of its video's 25 fps time line."""

    clip: Clip
    n_frames: int


def iter_corpus(layout: str, root: Path) -> Iterator[Entry]:
    """List, pair and read the texts of the corpus at `root`, clip by clip, in no order; nothing is decoded.

    Args:
        layout: a key of `READERS`.
        root: folder of the corpus.

    Raises:
        UserError: unknown layout, missing root, broken list.
    """
    if layout not in READERS:
        raise UserError("corpora.<name>.layout", f"{layout!r} is unknown", f"take one of {', '.join(READERS)}")
    return map(_in_text, READERS[layout](root))


def _shown(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8, which Python keeps as surrogates, become \\xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _in_text(entry: Entry) -> Entry:
    """The entry, where its names are text; else its row of rejected.parquet, which can be written."""
    if isinstance(entry, Rejected):
        return replace(entry, id=_shown(entry.id), detail=_shown(entry.detail))
    names = f"{entry.id}{entry.video}{entry.audio}{entry.speaker}"
    if _shown(names) == names:
        return entry
    error = ClipError(Reason.BAD_LISTING, f"the name {_shown(entry.video)} is no UTF-8: rename it")
    return reject(_shown(entry.id), error)


def read_corpus(layout: str, root: Path) -> Reading:
    """All of `iter_corpus`, with its arguments and errors, in memory and in order."""
    return reading(iter_corpus(layout, root))


def probe_clip(root: Path, clip: Clip) -> ProbedClip:
    """What a clip's files hold: frames, rate, size, sample rate, start times. From packets; nothing is decoded.

    Raises:
        ClipError: `EMPTY_FILE`, `UNDECODABLE`, `NO_VIDEO` or `NO_AUDIO`.
    """
    from synctalk.media import probe, resample_index

    info = probe(root / clip.video)
    if info.video is None:
        raise ClipError(Reason.NO_VIDEO, f"{clip.video} has no video frames")
    audio = info.audio if clip.audio == clip.video else probe(root / clip.audio).audio
    if audio is None:
        raise ClipError(Reason.NO_AUDIO, f"{clip.audio} has no audio stream")
    probed = replace(
        clip,
        n_frames=info.video.n_frames,
        fps=info.video.fps,
        width=info.video.width,
        height=info.video.height,
        sample_rate=audio.sample_rate,
        video_start_s=info.video.start_s,
        audio_start_s=audio.start_s,
    )
    return ProbedClip(probed, len(resample_index(info.video)))
