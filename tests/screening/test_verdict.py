"""What a clip's offset and confidence mean for it under each policy, at the limits themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from synctalk.errors import ClipError, Reason
from synctalk.metrics.lse import LipSync
from synctalk.screening.params import ScreenParams
from synctalk.screening.verdict import check_windows, frames_to_move

REPAIR = ScreenParams(
    policy="repair", splits=("pretrain", "train"), max_offset_frames=2, max_repair_frames=6, min_confidence=3.0,
    min_windows=16, too_short="keep", min_keep_rate=0.5,
)  # fmt: skip
REJECT = replace(REPAIR, policy="reject")


def found(offset: int, confidence: float = 5.0) -> LipSync:
    nothing = torch.zeros(0)
    return LipSync(offset, 7.0, confidence, nothing, nothing, nothing)


@pytest.mark.parametrize(("offset", "moved"), [(0, 0), (2, 0), (-2, 0), (3, -3), (-3, 3), (6, -6), (-6, 6)])
def test_sound_within_the_limits_stays_or_is_moved_back(offset: int, moved: int) -> None:
    assert frames_to_move(found(offset), REPAIR) == moved


@pytest.mark.parametrize(
    ("params", "sync", "detail"),
    [
        (REPAIR, found(7, 4.25), "audio 7 frames early (confidence 4.25), at most 6 are repaired"),
        (REPAIR, found(-10), "audio 10 frames late (confidence 5.00), at most 6 are repaired"),
        (REJECT, found(3), "audio 3 frames early (confidence 5.00), at most 2 are taken"),
        (REJECT, found(-3), "audio 3 frames late (confidence 5.00), at most 2 are taken"),
        (REPAIR, found(0, 2.99), "confidence 2.99 at an offset of +0 frames, at least 3.0 is needed"),
        (REJECT, found(-12, 0.5), "confidence 0.50 at an offset of -12 frames, at least 3.0 is needed"),
    ],
)
def test_sound_beyond_the_limits_is_out_of_sync_with_its_figures(
    params: ScreenParams, sync: LipSync, detail: str
) -> None:
    with pytest.raises(ClipError) as error:
        frames_to_move(sync, params)
    assert (error.value.reason, error.value.detail) == (Reason.OUT_OF_SYNC, detail)


def test_confidence_at_the_limit_is_enough_and_rejecting_moves_nothing() -> None:
    assert frames_to_move(found(0, 3.0), REPAIR) == 0
    assert frames_to_move(found(2), REJECT) == frames_to_move(found(-2), REJECT) == 0


def test_short_clips_are_rejected_where_params_say_so() -> None:
    check_windows(15, REPAIR)
    check_windows(16, replace(REPAIR, too_short="reject"))
    with pytest.raises(ClipError, match="15 windows of lips and audio, at least 16 are needed") as error:
        check_windows(15, replace(REPAIR, too_short="reject"))
    assert error.value.reason == Reason.TOO_SHORT
