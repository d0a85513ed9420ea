"""GRID (Cooke et al., 2006): 34 speakers, 1,000 sentences each, word times in .align files.

    s1/video/mpg_6000/<sentence>.mpg    or s1/<sentence>.mpg, s1/video/<sentence>.mpg: as the downloads unpack
    align/s1/<sentence>.align           or s1/align/<sentence>.align, alignments/s1/..., beside the video

The speaker is the folder s1 .. s34 nearest to the file; what else is in the path does not matter. Of a sentence that is
there in two qualities (mpg_vcd and mpg_6000) the larger file is taken. GRID has no official splits. Ours are fixed and
share no speaker: LipNet's unseen speakers (Assael et al., 2016) are the test, two others the validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from synctalk.corpora.listing import VIDEO_SUFFIXES, Entry, iter_files, make_clip, reject, require_root
from synctalk.corpora.transcript import read_align
from synctalk.errors import ClipError, Reason, UserError

TEST_SPEAKERS = frozenset({"s1", "s2", "s20", "s22"})
"""Two men and two women, held out by LipNet."""
VAL_SPEAKERS = frozenset({"s3", "s4"})
"""A man and a woman."""
_SPEAKER = re.compile(r"s[1-9]\d?")


def split_of(speaker: str) -> str:
    """Split of a speaker, "s1" .. "s34"."""
    return "test" if speaker in TEST_SPEAKERS else "val" if speaker in VAL_SPEAKERS else "train"


def _sentence(path: Path) -> tuple[str, str] | None:
    """Speaker and name of the sentence that a file is about; None where no folder names a speaker."""
    speakers = [part for part in path.parts[:-1] if _SPEAKER.fullmatch(part)]
    return (speakers[-1], path.stem) if speakers else None


def _n_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0  # a link to nothing is met again when it is probed


def read(root: Path) -> Iterator[Entry]:
    """List the videos and pair them with their word times. The paths are in memory: GRID has 34,000 clips.

    Raises:
        UserError: the root is missing or holds no speaker's videos.
    """
    require_root(root)
    videos: dict[tuple[str, str], list[Path]] = {}
    aligns: dict[tuple[str, str], Path] = {}
    for path in iter_files(root):
        sentence = _sentence(path)
        if sentence and path.suffix.lower() in VIDEO_SUFFIXES:
            videos.setdefault(sentence, []).append(path)
        elif sentence and path.suffix == ".align":
            aligns.setdefault(sentence, path)
    if not videos:
        raise UserError(root, "has no videos in folders s1, s2, ...", "point corpora.<name>.root at GRID")
    for (speaker, name), paths in videos.items():
        best, *others = sorted(paths, key=lambda path: (-_n_bytes(root / path), path))
        for path in others:
            yield reject(path.as_posix(), ClipError(Reason.DUPLICATE, f"{best} is the same sentence"))
        clip_id, video = best.with_suffix("").as_posix(), best.as_posix()
        try:
            if (speaker, name) not in aligns:
                raise ClipError(Reason.NO_TRANSCRIPT, f"{name}.align of {speaker} is not there")
            transcript = read_align(root / aligns[speaker, name])
        except ClipError as error:
            yield reject(clip_id, error)
            continue
        split = split_of(speaker)
        yield make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=transcript)
    for (speaker, name), path in aligns.items():
        if (speaker, name) not in videos:
            yield reject(path.as_posix(), ClipError(Reason.NO_VIDEO, f"{speaker} has no video of {name}"))
