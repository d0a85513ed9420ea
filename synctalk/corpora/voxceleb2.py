"""VoxCeleb2: no transcripts, audio in files of its own.

    {dev,test}/mp4/idXXXXX/<youtube id>/<clip>.mp4
    {dev,test}/aac/idXXXXX/<youtube id>/<clip>.m4a
    english.txt                    optional: one clip a line; the others are left out

Where a part has no aac/ at all, the audio inside its videos is taken. Clip names repeat from video to video, so that
only the whole path is an id. Lines of the English list (AV-HuBERT's is vox-en.id) may lack "dev/" or "mp4/" and may end
in .mp4, .m4a, .wav or .txt. dev is read as the split "pretrain".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synctalk.corpora.listing import (
    Entry,
    Listed,
    is_hidden,
    make_clip,
    not_listed,
    read_list,
    reject,
    require_root,
)
from synctalk.errors import ClipError, Reason, UserError
from synctalk.rejected import Rejected

FOLDERS = {"dev": "pretrain", "test": "test"}
"""Folder -> split."""
KINDS = frozenset({"mp4", "aac", "txt"})
"""Folders between dev or test and the speakers."""
ENGLISH = "english.txt"


def _stems(folder: Path, suffix: str) -> set[str]:
    """Files of a speaker's folder, <youtube id>/<clip>, without suffix."""
    found = (path for path in folder.glob(f"*/*{suffix}") if not is_hidden(path))
    return {path.relative_to(folder).with_suffix("").as_posix() for path in found}


def _speakers(root: Path, folder: str) -> list[str]:
    """Names of the speakers of dev or test, whose pictures or whose audio is there."""
    kinds = (root / folder / kind for kind in ("mp4", "aac"))
    return sorted({path.name for kind in kinds for path in kind.glob("*/") if not is_hidden(path)})


def _video_of(clip_id: str) -> str:
    return f"{clip_id}.mp4"


def _audio_of(clip_id: str) -> str:
    return f"{clip_id}.m4a".replace("/mp4/", "/aac/", 1)


def _is_there(root: Path, clip_id: str) -> bool:
    return (root / _video_of(clip_id)).is_file() or (root / _audio_of(clip_id)).is_file()


def _listed_id(root: Path, line: Listed) -> str:
    """Id of the clip that a line of the English list means; a speaker is in one of the two parts only.

    Raises:
        ClipError: `BAD_LISTING`.
    """
    folder, *rest = line.name.split("/")
    parts = rest if folder in FOLDERS else [folder, *rest]
    parts = parts[1:] if parts and parts[0] in KINDS else parts
    if len(parts) != 3:
        raise ClipError(Reason.BAD_LISTING, f"{line.name!r} is no path of VoxCeleb2")
    ids = ["/".join([part, "mp4", *parts]) for part in ([folder] if folder in FOLDERS else FOLDERS)]
    return next((clip_id for clip_id in ids if _is_there(root, clip_id)), ids[0])


def _read_english(root: Path) -> tuple[set[str], list[Rejected]]:
    """Ids that the English list names, whether they are there or not; and rows of the lines that name nothing."""
    lines, rejected = read_list(root / ENGLISH)
    listed: set[str] = set()
    for line in lines:
        try:
            listed.add(_listed_id(root, line))
        except ClipError as error:
            rejected.append(reject(line.source, error))
    return listed, rejected


def _read_speaker(root: Path, folder: str, speaker: str, english: set[str] | None) -> Iterator[Entry]:
    videos = _stems(root / folder / "mp4" / speaker, ".mp4")
    audios = _stems(root / folder / "aac" / speaker, ".m4a")
    has_audio = (root / folder / "aac").is_dir()
    for stem in sorted(videos | audios):
        clip_id = f"{folder}/mp4/{speaker}/{stem}"
        video, audio = _video_of(clip_id), _audio_of(clip_id)
        if english is not None and clip_id not in english:
            yield from not_listed([clip_id], ENGLISH)
        elif stem not in videos:
            yield reject(clip_id, ClipError(Reason.NO_VIDEO, f"{video} is not there"))
        elif has_audio and stem not in audios:
            yield reject(clip_id, ClipError(Reason.NO_AUDIO, f"{audio} is not there"))
        else:
            source = audio if has_audio else video
            split = FOLDERS[folder]
            yield make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=source, transcript=None)


def read(root: Path) -> Iterator[Entry]:
    """List and pair, speaker by speaker; a clip of the English list that is not there is rejected.

    The English list is in memory, about 150 bytes a clip.

    Raises:
        UserError: the root is missing or has neither folder, or the list is no text.
    """
    require_root(root)
    present = [folder for folder in FOLDERS if (root / folder / "mp4").is_dir()]
    if not present:
        raise UserError(root, "has neither dev/mp4 nor test/mp4", "point corpora.<name>.root at VoxCeleb2")
    english: set[str] | None = None
    if (root / ENGLISH).is_file():
        english, rejected = _read_english(root)
        yield from rejected
    for folder in present:
        for speaker in _speakers(root, folder):
            yield from _read_speaker(root, folder, speaker, english)
    for clip_id in english or ():
        if clip_id.partition("/")[0] not in present or not _is_there(root, clip_id):
            yield reject(clip_id, ClipError(Reason.NO_VIDEO, f"{_video_of(clip_id)} is not there"))
