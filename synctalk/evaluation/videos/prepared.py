"""What the judges look at: a clip's mouths, MFCC, and the pictures that SyncNet sees.

Legend: T frames of the clip, S side of a face, R side of a mouth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from synctalk.evaluation.videos.findings import Note
from synctalk.evaluation.videos.images import ImageScores
from synctalk.faces.crop import crop_face, syncnet_crops
from synctalk.features.syncnet_input import View, judge_pictures
from synctalk.media import dumped
from synctalk.models.syncnet import SyncNetConfig


@dataclass(frozen=True)
class Pictures:
    """What the sync judge looks at, uint8 [C, S, S] for each of T frames, made as it is gone through.

    Attributes:
        frames: RGB uint8 [H, W, 3], T or more; those of the published scripts' dump where a judge of whole frames
            sees it.
        n_frames: T.
        view: what a judge sees of them.
        judge: its sizes.
        boxes: face boxes [T, 4], for the views `face` and `tracked`.
        mouths: grey mouths [T, R, R], for the view `mouth`.
        face_size: side of the faces of the view `face`.
        dump: crops go through the dump.
    """

    frames: Iterable[NDArray[np.uint8]]
    n_frames: int
    view: View
    judge: SyncNetConfig
    boxes: NDArray[np.int32] | None
    mouths: NDArray[np.uint8] | None
    face_size: int
    dump: bool = False

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        seen = self._seen()
        for picture in dumped(seen) if self.dump else seen:
            yield judge_pictures(picture[None], self.judge)[0]

    def __len__(self) -> int:
        return self.n_frames

    @property
    def nbytes(self) -> int:
        """Bytes of them all."""
        return self.n_frames * self.judge.in_channels * self.judge.image_size**2

    def _seen(self) -> Iterable[NDArray[np.uint8]]:
        frames = islice(self.frames, self.n_frames)
        match self.view:
            case "frame":
                return frames
            case "face":
                assert self.boxes is not None
                return (crop_face(frame, box, self.face_size) for frame, box in zip(frames, self.boxes, strict=True))
            case "tracked":
                assert self.boxes is not None
                return syncnet_crops(frames, self.boxes.astype(np.float32))
            case "mouth":
                assert self.mouths is not None
                return iter(self.mouths)

    def stacked(self) -> NDArray[np.uint8]:
        """All of them, [T, C, S, S]."""
        return np.stack(list(self))


@dataclass(frozen=True)
class PreparedVideo:
    """One clip of one method, ready for the judges.

    Attributes:
        id: the clip.
        n_frames: T.
        transcript: what is said; None where nobody knows.
        images: None for ground truth.
        mouths: grey mouth regions, uint8 [T, R, R], the lip reader's input; None without a lip reader.
        pictures: what the sync judge looks at, T of uint8 [C, S, S]; empty without one.
        mfcc: of the video's own audio, float32 [13, n].
        n_samples: samples of that audio.
    """

    id: str
    n_frames: int
    transcript: str | None
    images: ImageScores | None
    mouths: NDArray[np.uint8] | None
    pictures: NDArray[np.uint8] | Pictures
    mfcc: NDArray[np.float32]
    n_samples: int


@dataclass(frozen=True)
class Preparation:
    """A clip that is ready for the judges, or None where it cannot be; and what is to be said of it."""

    video: PreparedVideo | None
    notes: tuple[Note, ...] = ()
