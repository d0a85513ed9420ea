"""VoxCeleb2: no transcripts, sound in files of its own.

    {dev,test}/mp4/idXXXXX/<youtube id>/<clip>.mp4
    {dev,test}/aac/idXXXXX/<youtube id>/<clip>.m4a
    english.txt                    optional: one clip id a line, with or without "mp4/"; the others are left out

dev is read as the split "pretrain".
"""

from __future__ import annotations

from pathlib import Path

from synctalk.corpora.listing import (
    Reading,
    is_hidden,
    iter_list,
    make_clip,
    reading,
    reject,
    require_file,
    require_root,
)
from synctalk.corpora.records import Clip, Rejected
from synctalk.errors import ClipError, Reason, UserError

FOLDERS = {"dev": "pretrain", "test": "test"}
"""Folder -> split."""
ENGLISH = "english.txt"


def _clip_id(listed: str) -> str:
    """ "dev/id00012/x/00001" or "dev/mp4/id00012/x/00001.mp4" -> "dev/mp4/id00012/x/00001"."""
    folder, *rest = listed.removesuffix(".mp4").split("/")
    return "/".join([folder, "mp4", *(rest[1:] if rest[:1] == ["mp4"] else rest)])


def read(root: Path) -> Reading:
    """List and pair; a clip of the English list that is not there is rejected.

    Raises:
        UserError: the root is missing or has neither folder, or the list has a path that leaves the corpus.
    """
    require_root(root)
    present = [folder for folder in FOLDERS if (root / folder / "mp4").is_dir()]
    if not present:
        raise UserError(root, "has neither dev/mp4 nor test/mp4", "point corpora.<name>.root at VoxCeleb2")
    if (root / ENGLISH).is_file():
        found = {_clip_id(name) for name, _ in iter_list(root / ENGLISH)}
    else:
        kinds = [(folder, kind) for folder in present for kind in ("mp4/*/*/*.mp4", "aac/*/*/*.m4a")]
        files = (p for folder, kind in kinds for p in (root / folder).glob(kind) if not is_hidden(p))
        found = {p.relative_to(root).with_suffix("").as_posix().replace("/aac/", "/mp4/", 1) for p in files}
    clips: list[Clip] = []
    rejected: list[Rejected] = []
    for clip_id in sorted(found):
        folder, _, *rest = clip_id.split("/")
        audio = "/".join([folder, "aac", *rest]) + ".m4a"
        try:
            if folder not in FOLDERS or len(rest) != 3:
                raise ClipError(Reason.NO_VIDEO, f"{ENGLISH} lists {clip_id}, which is no path of VoxCeleb2")
            require_file(root, f"{clip_id}.mp4", Reason.NO_VIDEO)
            require_file(root, audio, Reason.NO_AUDIO)
        except ClipError as error:
            rejected.append(reject(clip_id, error))
            continue
        clips.append(
            make_clip(
                root,
                clip_id,
                speaker=rest[0],
                split=FOLDERS[folder],
                video=f"{clip_id}.mp4",
                audio=audio,
                transcript=None,
            )
        )
    return reading(clips, rejected)
