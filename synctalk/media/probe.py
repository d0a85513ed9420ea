"""What a media file holds, read from its packets: no frame is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason
from synctalk.media.truncation import promised_bytes


@dataclass(frozen=True)
class VideoStream:
    """The best video stream of a file.

    Attributes:
        index: stream index in the container.
        pts_s: presentation times of the frames, seconds, ascending, [n_frames]; VFR and start offsets show here.
        width, height: pixels as stored.
        fps: mean frame rate as the container states it (0.0 where it does not).
        codec: FFmpeg's name.
        pixel_aspect: width of a pixel over its height; players stretch the picture by it.
        n_missing: frames that the container's header promises and the file has no packets for.
    """

    index: int
    pts_s: NDArray[np.float64]
    width: int
    height: int
    fps: float
    codec: str
    pixel_aspect: Fraction = Fraction(1)
    n_missing: int = 0

    @property
    def n_frames(self) -> int:
        return len(self.pts_s)

    @property
    def start_s(self) -> float:
        return float(self.pts_s[0])

    @property
    def frame_s(self) -> float:
        """Typical length of a frame, seconds: the median gap between presentation times."""
        if self.n_frames > 1:
            return float(np.median(np.diff(self.pts_s)))
        return 1.0 / self.fps if self.fps else 0.04

    @property
    def duration_s(self) -> float:
        """From the first frame's start to the last frame's end."""
        return float(self.pts_s[-1] - self.pts_s[0]) + self.frame_s


@dataclass(frozen=True)
class AudioStream:
    """The best audio stream of a file: stream index, hertz, channel count, first time stamp and length in seconds."""

    index: int
    sample_rate: int
    channels: int
    start_s: float
    duration_s: float
    codec: str


@dataclass(frozen=True)
class MediaInfo:
    """Streams of a media file; a stream that is not there is None."""

    path: Path
    video: VideoStream | None
    audio: AudioStream | None


def open_container(path: Path) -> av.container.InputContainer:
    """Open `path` for demuxing.

    Raises:
        ClipError: `EMPTY_FILE`; `TRUNCATED` where the file is shorter than its container says; `UNDECODABLE` where it
            is missing, or no container that FFmpeg knows.
    """
    if not path.is_file():
        raise ClipError(Reason.UNDECODABLE, f"{path.name} is not a file")
    size = path.stat().st_size
    if size == 0:
        raise ClipError(Reason.EMPTY_FILE, f"{path.name} has zero bytes")
    promised = promised_bytes(path)
    if promised is not None and size < promised:
        raise ClipError(Reason.TRUNCATED, f"{path.name} has {size} bytes of {promised}")
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise ClipError(Reason.UNDECODABLE, f"{path.name}: {error.strerror or error}") from error


def probe(path: Path) -> MediaInfo:
    """Streams and time stamps of `path`.

    Raises:
        ClipError: `EMPTY_FILE`, `TRUNCATED`, `UNDECODABLE`, or `OVER_REPORTED_FRAMES` where an MP4 begins without a key
            frame.
    """
    with open_container(path) as container:
        video = container.streams.best("video")
        audio = container.streams.best("audio")
        video_pts: list[float] = []
        n_packets = n_headless = 0
        key_seen = False
        audio_start, audio_end = np.inf, -np.inf
        wanted = [s for s in (video, audio) if s is not None]
        try:
            for packet in container.demux(wanted) if wanted else ():
                if packet.stream is video and packet.size > 0:
                    n_packets += 1
                    key_seen = key_seen or packet.is_keyframe
                    n_headless += not key_seen
                if packet.pts is None or packet.time_base is None:
                    continue
                start = float(packet.pts * packet.time_base)
                if packet.is_corrupt and "mp4" in container.format.name:
                    # the index in front promises more than the file has; a broken-off transport stream is ordinary
                    raise ClipError(Reason.TRUNCATED, f"{path.name} breaks off after {start:.2f} s")
                if packet.stream is video:
                    if not packet.is_discard:
                        video_pts.append(start)
                else:
                    audio_start = min(audio_start, start)
                    audio_end = max(audio_end, start + float((packet.duration or 0) * packet.time_base))
        except (av.FFmpegError, OSError) as error:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: {error.strerror or error}") from error
        if key_seen and n_headless and "mp4" in container.format.name:
            # decord shows other frames in their place, without a word
            raise ClipError(
                Reason.OVER_REPORTED_FRAMES,
                f"{path.name}: the first {n_headless} of {n_packets} frames need a key frame that is not there",
            )
        found_video = found_audio = None
        if isinstance(video, av.VideoStream) and video_pts:
            found_video = VideoStream(
                index=video.index,
                pts_s=np.sort(np.asarray(video_pts)),
                width=video.codec_context.width,
                height=video.codec_context.height,
                fps=float(video.average_rate or 0),
                codec=video.codec_context.name,
                pixel_aspect=video.sample_aspect_ratio or Fraction(1),
                n_missing=max(0, video.frames - n_packets),
            )
        if isinstance(audio, av.AudioStream) and audio_end > audio_start:
            found_audio = AudioStream(
                index=audio.index,
                sample_rate=audio.codec_context.sample_rate,
                channels=audio.codec_context.channels,
                start_s=audio_start,
                duration_s=audio_end - audio_start,
                codec=audio.codec_context.name,
            )
    return MediaInfo(path=path, video=found_video, audio=found_audio)
