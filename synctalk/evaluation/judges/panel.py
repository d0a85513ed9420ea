"""All judges of a clip together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from synctalk.evaluation.judges.conformer import ConformerJudge, conformer_figures
from synctalk.evaluation.judges.lip_reader import LipJudge, lip_figures
from synctalk.evaluation.judges.syncnet import SyncEmbeddings, SyncJudge, sync_embeddings, sync_figures
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.prepared import PreparedVideo


@dataclass(frozen=True)
class Judges:
    """Who scores; None leaves those figures out."""

    sync: SyncJudge | None
    lips: LipJudge | None
    conformer: ConformerJudge | None = None


def judge_videos(clips: Iterable[PreparedVideo], judges: Judges) -> list[ClipScore]:
    """Let the judges score clips, in their order; each clip's other audio is that of the next, cyclically."""
    videos: list[PreparedVideo] = []
    embeddings: list[SyncEmbeddings] = []
    for clip in clips:
        if judges.sync is not None:
            embeddings.append(sync_embeddings(judges.sync.model, clip.pictures, clip.mfcc, clip.n_samples))
        # pictures of all clips would not fit in memory
        videos.append(replace(clip, pictures=np.zeros((0,), np.uint8)))
    sync = [sync_figures(embeddings, number) for number in range(len(embeddings))] or [{}] * len(videos)
    words = lip_figures(videos, judges.lips)
    third = conformer_figures(videos, judges.conformer)
    return [
        ClipScore(
            **_blank(clip) | sync[number] | words[number] | third[number] | (asdict(clip.images) if clip.images else {})
        )
        for number, clip in enumerate(videos)
    ]


def _blank(clip: PreparedVideo) -> dict[str, Any]:
    return {
        **dict.fromkeys(field.name for field in fields(ClipScore)),
        "id": clip.id,
        "n_frames": clip.n_frames,
        "reference": clip.transcript,
    }
