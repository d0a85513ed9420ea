"""VoxCeleb2: no transcripts, sound in files of its own.

    {dev,test}/mp4/idXXXXX/<youtube id>/<clip>.mp4
    {dev,test}/aac/idXXXXX/<youtube id>/<clip>.m4a
    english.txt                    optional: one clip a line; the others are left out

Where a part has no aac/ at all, the sound inside its videos is taken. Clip names repeat from video to video, so that
only the whole path is an id. Lines of the English list (AV-HuBERT's is vox-en.id) may lack "dev/" or "mp4/" and may end
in .mp4, .m4a, .wav or .txt. dev is read as the split "pretrain".
"""

from __future__ import annotations

from pathlib import Path

from synctalk.corpora.listing import (
    Listed,
    Reading,
    is_hidden,
    make_clip,
    not_listed,
    read_list,
    reading,
    reject,
    require_root,
)
from synctalk.corpora.records import Clip, Rejected
from synctalk.errors import ClipError, Reason, UserError

FOLDERS = {"dev": "pretrain", "test": "test"}
"""Folder -> split."""
KINDS = frozenset({"mp4", "aac", "txt"})
"""Folders between dev or test and the speakers."""
ENGLISH = "english.txt"


def _stems(root: Path, pattern: str) -> set[str]:
    """Files below `root` that fit, without suffix: "id00012/21Uxsk56VDQ/00001"."""
    found = (path for path in root.glob(pattern) if not is_hidden(path))
    return {path.relative_to(root).with_suffix("").as_posix() for path in found}


def _listed_id(line: Listed, there: set[str]) -> str:
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
    return next((clip_id for clip_id in ids if clip_id in there), ids[0])


def _choose(path: Path, there: set[str]) -> tuple[set[str], list[Rejected]]:
    """Ids that the English list names, whether they are there or not; rows of the others and of broken lines."""
    lines, rejected = read_list(path)
    listed: set[str] = set()
    for line in lines:
        try:
            listed.add(_listed_id(line, there))
        except ClipError as error:
            rejected.append(reject(line.source, error))
    return listed, rejected + not_listed(there - listed, path.name)


def read(root: Path) -> Reading:
    """List and pair; a clip of the English list that is not there is rejected.

    Raises:
        UserError: the root is missing or has neither folder, or the list is no text.
    """
    require_root(root)
    present = [folder for folder in FOLDERS if (root / folder / "mp4").is_dir()]
    if not present:
        raise UserError(root, "has neither dev/mp4 nor test/mp4", "point corpora.<name>.root at VoxCeleb2")
    videos: set[str] = set()
    sounds: set[str] = set()
    for folder in present:
        videos |= {f"{folder}/mp4/{stem}" for stem in _stems(root / folder / "mp4", "*/*/*.mp4")}
        sounds |= {f"{folder}/mp4/{stem}" for stem in _stems(root / folder / "aac", "*/*/*.m4a")}
    silent = {folder for folder in FOLDERS if not (root / folder / "aac").is_dir()}
    found, rejected = videos | sounds, list[Rejected]()
    if (root / ENGLISH).is_file():
        found, rejected = _choose(root / ENGLISH, found)
    clips: list[Clip] = []
    for clip_id in found:
        folder, _, speaker, *rest = clip_id.split("/")
        video, audio = f"{clip_id}.mp4", "/".join([folder, "aac", speaker, *rest]) + ".m4a"
        if clip_id not in videos:
            rejected.append(reject(clip_id, ClipError(Reason.NO_VIDEO, f"{video} is not there")))
        elif clip_id not in sounds and folder not in silent:
            rejected.append(reject(clip_id, ClipError(Reason.NO_AUDIO, f"{audio} is not there")))
        else:
            audio = video if folder in silent else audio
            split = FOLDERS[folder]
            clips.append(
                make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=audio, transcript=None)
            )
    return reading(clips, rejected)
