"""Frames of a video of any length: those of a short one are decoded once and held, a long one is decoded as often as it
is gone through.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError
from synctalk.media import iter_frames, probe, resample_index
from synctalk.media.read import require_video

HELD_BYTES = 2**28
"""Frames of a video are held up to so many bytes: a minute of LRS, 34 s at 360 x 288, 4 s at 1280 x 720."""


class UndecodedError(ClipError):
    """A video cannot be decoded; the detail says which of the two."""


class VideoFrames:
    """Frames of a video at 25 a second, upright RGB uint8 [H, W, 3], by number and in their order.

    Numbers are asked for in ascending order best: a lower one than before begins anew.

    Args:
        path: the video.
        side: what it is in errors, `generated` or `real`.
        jpeg: frames come out of the published scripts' dump; these are only to be gone through from the first.
        held_bytes: more than this is not held; `HELD_BYTES` where None.

    Attributes:
        path: the video.
        source_index: stored frame of each, int64 [T].
        start_s: time stamp of the first.
        shape: H, W, 3.

    Raises:
        UndecodedError: the file is broken; of a video that is not held, frames may turn out to be when reached.
    """

    def __init__(self, path: Path, side: str, *, jpeg: bool = False, held_bytes: int | None = None) -> None:
        self.path, self.side, self.jpeg = path, side, jpeg
        try:
            self._stream = require_video(probe(path))
        except ClipError as error:
            raise self._undecoded(error) from error
        self.source_index = resample_index(self._stream)
        self.start_s = self._stream.start_s
        self._held: NDArray[np.uint8] | None = None
        self._coming: Iterator[NDArray[np.uint8]] | None = None
        self._next = 0
        pictures = self._decode(0)
        first = next(pictures)
        self.shape = first.shape
        if len(self) * first.nbytes <= (HELD_BYTES if held_bytes is None else held_bytes):
            self._held = np.empty((len(self), *first.shape), np.uint8)
            self._held[0] = first
            for number, picture in enumerate(pictures, start=1):
                self._held[number] = picture

    def __len__(self) -> int:
        return len(self.source_index)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self._held) if self._held is not None else self._decode(0)

    def __getitem__(self, number: int, /) -> NDArray[np.uint8]:
        if self._held is not None:
            frame: NDArray[np.uint8] = self._held[number]
            return frame
        if self._coming is None or number < self._next:
            self._coming, self._next = self._decode(number), number
        while True:
            frame = next(self._coming)
            self._next += 1
            if self._next > number:
                return frame

    def _decode(self, first: int) -> Iterator[NDArray[np.uint8]]:
        try:
            yield from iter_frames(self.path, self.source_index[first:], self._stream, jpeg=self.jpeg)
        except ClipError as error:
            raise self._undecoded(error) from error

    def _undecoded(self, error: ClipError) -> UndecodedError:
        return UndecodedError(error.reason, f"{self.side}: {error.detail}")

    def __getstate__(self) -> dict[str, Any]:
        # another process decodes anew what it goes through
        return {**vars(self), "_held": None, "_coming": None, "_next": 0}
