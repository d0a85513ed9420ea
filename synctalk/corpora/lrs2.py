"""LRS2 (mvlrs_v1): lists at the root, clips under main/ and pretrain/.

    train.txt val.txt test.txt     lines "<id>/<clip>" of main/; test lines carry a second token (NF, MV)
    pretrain.txt                   lines "<id>/<clip>" of pretrain/
    main/<id>/<clip>.{mp4,txt}     sound inside the video

The lists are the authority: a clip that none of them names belongs to no split and is left out.
"""

from __future__ import annotations

from pathlib import Path

from synctalk.corpora.listing import Reading, iter_list, make_clip, reading, reject, require_file, require_root
from synctalk.corpora.records import Clip, Rejected
from synctalk.corpora.transcript import read_transcript
from synctalk.errors import ClipError, Reason, UserError

LISTS = {"pretrain": "pretrain", "train": "main", "val": "main", "test": "main"}
"""Split (and name of its list) -> folder."""


def read(root: Path) -> Reading:
    """List, pair and read the texts; a list that is missing is an empty split, but one must be there.

    Raises:
        UserError: the root or all lists are missing, a list has a path that leaves the corpus, or names a clip that
            another list names too.
    """
    require_root(root)
    present = [split for split in LISTS if (root / f"{split}.txt").is_file()]
    if not present:
        raise UserError(root, f"has none of {', '.join(f'{s}.txt' for s in LISTS)}", "copy LRS2's lists to the root")
    clips: list[Clip] = []
    rejected: list[Rejected] = []
    split_of: dict[str, str] = {}
    for split in present:
        for name, source in iter_list(root / f"{split}.txt"):
            clip_id = f"{LISTS[split]}/{name}"
            if split_of.setdefault(clip_id, split) != split:
                raise UserError(source, f"{name} stands in {split_of[clip_id]}.txt too", "mend the lists")
        for clip_id in (c for c, s in split_of.items() if s == split):
            try:
                require_file(root, f"{clip_id}.mp4", Reason.NO_VIDEO)
                transcript = read_transcript(root / f"{clip_id}.txt")
            except ClipError as error:
                rejected.append(reject(clip_id, error))
                continue
            speaker = clip_id.rsplit("/", 1)[0]
            video = f"{clip_id}.mp4"
            clips.append(
                make_clip(root, clip_id, speaker=speaker, split=split, video=video, audio=video, transcript=transcript)
            )
    return reading(clips, rejected)
