"""Audio rows to video frames."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S", bound=np.generic)


def align_to_video(rows: NDArray[S], n_frames: int) -> NDArray[S]:
    """Cut the end or add zero rows at the end, so that row t belongs to frame t: [T, ...] -> [n_frames, ...].

    The only alignment of the project. The released inference of TalkLip @7ed53ee cuts half of the surplus from the
    head instead, which its training does not do: one frame of lag on every LRS2 test clip.
    """
    kept = rows[:n_frames]
    missing = n_frames - len(kept)
    return np.pad(kept, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) if missing else kept
