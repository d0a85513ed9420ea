"""What is screened and by whom: the sections of params.yaml."""

from __future__ import annotations

from typing import Literal

from synctalk.params.section import section
from synctalk.training.syncnet import SyncNetParams

STORED = {"mouth": "mouth", "face": "faces"}
"""Views that crops hold, and the column; the others are cut from the video anew."""
NO_VIEW = "add it to corpora.<name>.members"
"""The mend where they do not."""


@section
class ScreenerParams:
    """The net that screens (params.yaml: `screener`)."""

    seed: int
    """Of its weights and batches; another than the judge's."""
    max_clips: int
    """Clips of each corpus that it is trained on, evenly spread over the training splits."""
    net: SyncNetParams
    """`checkpoint` takes a SyncNet as it is (`syncnet_v2.model`, or one of ours); "" trains one here on `corpora`."""


@section
class ScreenParams:
    """Screening (params.yaml: `screen`)."""

    policy: Literal["off", "measure", "reject", "repair"]
    """`off`, `measure` alone, `reject` what is out of sync, or `repair` what can be moved back. `off`: nothing is
    measured. `measure`: figures only. `reject`: clips beyond the limits are `out_of_sync`. `repair`: audio that is up
    to `max_repair_frames` early or late is moved back, what is beyond is `out_of_sync`."""
    splits: tuple[Literal["pretrain", "train", "val", "test"], ...]
    """Where the policy holds. Other splits are measured only, so that an evaluation is nobody's choice."""
    max_offset_frames: int
    """Offsets up to this are in sync, frames of 40 ms; SyncNet itself is no surer than a frame."""
    max_repair_frames: int
    """Largest offset that is repaired."""
    min_confidence: float
    """Clips of a smaller LSE-C are `out_of_sync` whatever their offset: it is not to be trusted. In units of the net
    that screens; the published SyncNet gives speech in sync 5 to 10 and other sound 1 to 2.
    """
    min_windows: int
    """Clips with fewer windows of five frames are not measured: the shifts reach beyond their ends."""
    too_short: Literal["keep", "reject"]
    """What becomes of those that are not measured; `reject` calls them `too_short`."""
    min_keep_rate: float
    """The stage fails when a smaller share of the clips is kept, 0..1."""
