"""LRS3: the folders are the splits.

    pretrain/<youtube id>/<clip>.{mp4,txt}
    trainval/<youtube id>/<clip>.{mp4,txt}
    test/<youtube id>/<clip>.{mp4,txt}

LRS3 has no official validation list. Ours is fixed: whole source videos of trainval whose name hashes below
`VAL_SHARE` (AV-HuBERT's list holds 1,200 of 31,982 clips, 3.8 %); it does not change with what else is there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from synctalk.corpora.listing import Reading, is_hidden, make_clip, reading, reject, require_file, require_root
from synctalk.corpora.records import Clip, Rejected
from synctalk.corpora.transcript import read_transcript
from synctalk.errors import ClipError, Reason, UserError

FOLDERS = {"pretrain": "pretrain", "trainval": "train", "test": "test"}
"""Folder -> split."""
VAL_SHARE = 0.04


def is_validation(youtube_id: str) -> bool:
    """Whether trainval's clips of this source video are our validation set."""
    return int.from_bytes(hashlib.sha256(youtube_id.encode()).digest()[:8], "big") < VAL_SHARE * 2**64


def read(root: Path) -> Reading:
    """List, pair and read the texts.

    Raises:
        UserError: the root is missing or has none of the three folders.
    """
    require_root(root)
    present = [folder for folder in FOLDERS if (root / folder).is_dir()]
    if not present:
        raise UserError(root, f"has none of the folders {', '.join(FOLDERS)}", "point corpora.<name>.root at LRS3")
    clips: list[Clip] = []
    rejected: list[Rejected] = []
    for folder in present:
        files = (p for kind in ("mp4", "txt") for p in (root / folder).glob(f"*/*.{kind}") if not is_hidden(p))
        for path in sorted({p.with_suffix("") for p in files}):
            clip_id = path.relative_to(root).as_posix()
            speaker = path.parent.name
            try:
                require_file(root, f"{clip_id}.mp4", Reason.NO_VIDEO)
                transcript = read_transcript(root / f"{clip_id}.txt")
            except ClipError as error:
                rejected.append(reject(clip_id, error))
                continue
            split = "val" if folder == "trainval" and is_validation(speaker) else FOLDERS[folder]
            video = f"{clip_id}.mp4"
            clips.append(
                make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=transcript)
            )
    return reading(clips, rejected)
