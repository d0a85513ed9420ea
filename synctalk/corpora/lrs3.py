"""LRS3: the folders are the splits.

    pretrain/<youtube id>/<clip>.{mp4,txt}
    trainval/<youtube id>/<clip>.{mp4,txt}
    test/<youtube id>/<clip>.{mp4,txt}

LRS3 has no official validation list. Ours is fixed: whole source videos of trainval whose name hashes below
`VAL_SHARE` (AV-HuBERT's list holds 1,200 of 31,982 clips, 3.8 %); it does not change with what else is there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from synctalk.corpora.listing import Entry, is_hidden, make_clip, reject, require_file, require_root
from synctalk.corpora.records import Clip
from synctalk.corpora.transcript import read_transcript
from synctalk.errors import ClipError, Reason, UserError

FOLDERS = {"pretrain": "pretrain", "trainval": "train", "test": "test"}
"""Folder -> split."""
VAL_SHARE = 0.04


def is_validation(youtube_id: str) -> bool:
    """Whether trainval's clips of this source video are our validation set."""
    return int.from_bytes(hashlib.sha256(os.fsencode(youtube_id)).digest()[:8], "big") < VAL_SHARE * 2**64


def read(root: Path) -> Iterator[Entry]:
    """List, pair and read the texts, one source video after the other.

    Raises:
        UserError: the root is missing or has none of the three folders.
    """
    require_root(root)
    present = [folder for folder in FOLDERS if (root / folder).is_dir()]
    if not present:
        raise UserError(root, f"has none of the folders {', '.join(FOLDERS)}", "point corpora.<name>.root at LRS3")
    for source in (source for folder in present for source in sorted((root / folder).glob("*/"))):
        files = (path for kind in ("mp4", "txt") for path in source.glob(f"*.{kind}") if not is_hidden(path))
        for path in sorted({path.with_suffix("") for path in files}):
            clip_id = path.relative_to(root).as_posix()
            try:
                yield _read_clip(root, clip_id)
            except ClipError as error:
                yield reject(clip_id, error)


def _read_clip(root: Path, clip_id: str) -> Clip:
    video = f"{clip_id}.mp4"
    require_file(root, video, Reason.NO_VIDEO)
    transcript = read_transcript(root / f"{clip_id}.txt")
    folder, speaker, _ = clip_id.split("/")
    split = "val" if folder == "trainval" and is_validation(speaker) else FOLDERS[folder]
    return make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=transcript)
