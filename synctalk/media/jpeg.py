"""The frame dump of the published scoring scripts, in memory.

They write every frame by `ffmpeg -i VIDEO -threads 1 -f image2 %06d.jpg` and read the files with OpenCV. No quality is
named there, so FFmpeg's rate control aims at 200 kbit/s: the first frames are good, those that follow are not. Source:
joonson/syncnet_python @6efbb1c (`evaluate`), Rudrabha/Wav2Lip @5c90fa9 (evaluation/scores_LSE).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from synctalk.timebase import FPS

BIT_RATE, TOLERANCE = 200_000, 4_000_000
"""FFmpeg's own, bits a second."""


class JpegDump:
    """Codes the frames of one clip in their order, as the scripts do: how well, depends on those before."""

    def __init__(self, width: int, height: int) -> None:
        self.reformatter = VideoReformatter()
        self.n_frames = 0
        self.coder = av.CodecContext.create("mjpeg", "w")
        self.coder.width, self.coder.height, self.coder.pix_fmt = width, height, "yuvj420p"
        self.coder.time_base = Fraction(1, FPS)
        self.coder.framerate = Fraction(FPS)
        self.coder.bit_rate, self.coder.bit_rate_tolerance = BIT_RATE, TOLERANCE
        self.coder.thread_count = 1

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """What is read of a frame's file: RGB uint8 [H, W, 3]."""
        coder = self.coder
        coded = self.reformatter.reformat(frame, coder.width, coder.height, "yuvj420p", threads=1)
        coded.pts, coded.time_base = self.n_frames, coder.time_base
        coded.pict_type = av.video.frame.PictureType.NONE  # the coder decides; a decoder has left its own there
        self.n_frames += 1
        (packet,) = coder.encode(coded)
        picture = cv2.imdecode(np.frombuffer(bytes(packet), np.uint8), cv2.IMREAD_COLOR_RGB)
        assert picture is not None
        return cast(NDArray[np.uint8], picture)


def dumped(pictures: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Pictures of one size that are no frames of a file, as they come out of a dump: RGB uint8 [H, W, 3], or grey
    [H, W], one by one.
    """
    dump: JpegDump | None = None
    for picture in pictures:
        grey = picture.ndim == 2
        dump = dump or JpegDump(picture.shape[1], picture.shape[0])
        read = dump(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray" if grey else "rgb24"))
        yield read[..., 1] if grey else read
