"""LRS2 (mvlrs_v1): lists at the root, clips under main/ and pretrain/.

    train.txt val.txt test.txt     lines "<id>/<clip>" of main/; test lines carry a second token (NF, MV)
    pretrain.txt                   lines "<id>/<clip>" of pretrain/
    main/<id>/<clip>.{mp4,txt}     audio inside the video

The lists are the authority: a clip that none of them names belongs to no split, and one that two of them name could
leak from one split into another. Both are dropped. Lines may begin with the folder and end in ".mp4".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synctalk.corpora.listing import (
    Entry,
    is_hidden,
    make_clip,
    not_listed,
    read_list,
    reject,
    require_file,
    require_root,
)
from synctalk.corpora.records import Clip
from synctalk.corpora.transcript import read_transcript
from synctalk.errors import ClipError, Reason, UserError
from synctalk.rejected import Rejected

LISTS = {"pretrain": "pretrain", "train": "main", "val": "main", "test": "main"}
"""Split (and name of its list) -> folder."""


def _read_lists(root: Path, present: list[str]) -> tuple[dict[str, set[str]], list[Rejected]]:
    """Clip id -> the lists that name it; and the lines that name nothing."""
    lists_of: dict[str, set[str]] = {}
    rejected: list[Rejected] = []
    for split in present:
        lines, broken = read_list(root / f"{split}.txt")
        rejected += broken
        for line in lines:
            name = line.name.removeprefix(f"{LISTS[split]}/")
            if name.count("/") == 1:
                lists_of.setdefault(f"{LISTS[split]}/{name}", set()).add(split)
            else:
                rejected.append(reject(line.source, ClipError(Reason.BAD_LISTING, f"{line.name!r} is no <id>/<clip>")))
    return lists_of, rejected


def _read_clip(root: Path, clip_id: str, splits: set[str]) -> Clip:
    if len(splits) > 1:
        names = " and ".join(f"{split}.txt" for split in sorted(splits))
        raise ClipError(Reason.BAD_LISTING, f"stands in {names}")
    video = f"{clip_id}.mp4"
    require_file(root, video, Reason.NO_VIDEO)
    transcript = read_transcript(root / f"{clip_id}.txt")
    speaker = clip_id.rsplit("/", 1)[0]
    (split,) = splits
    return make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=transcript)


def read(root: Path) -> Iterator[Entry]:
    """List, pair and read the texts; a list that is missing is an empty split, but one must be there.

    The lists are in memory, about 400 bytes a clip.

    Raises:
        UserError: the root or all lists are missing, or a list is no text.
    """
    require_root(root)
    present = [split for split in LISTS if (root / f"{split}.txt").is_file()]
    if not present:
        raise UserError(root, f"has none of {', '.join(f'{s}.txt' for s in LISTS)}", "copy LRS2's lists to the root")
    lists_of, rejected = _read_lists(root, present)
    yield from rejected
    for clip_id, splits in lists_of.items():
        try:
            yield _read_clip(root, clip_id, splits)
        except ClipError as error:
            yield reject(clip_id, error)
    for folder in ("main", "pretrain"):
        lists = ", ".join(f"{split}.txt" for split in LISTS if LISTS[split] == folder)
        there = (p.relative_to(root) for p in (root / folder).glob("*/*.mp4") if not is_hidden(p))
        clip_ids = (path.with_suffix("").as_posix() for path in there)
        yield from not_listed((clip_id for clip_id in clip_ids if clip_id not in lists_of), lists)
