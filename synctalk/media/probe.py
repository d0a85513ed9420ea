"""What a media file holds, read from its packets: of the pictures no more is decoded than the first.

Of several streams of a kind FFmpeg's choice is taken: the one flagged as default, then the one with the most packets at
the file's head, then the highest bit rate. Cover art is no video.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.stream import Disposition, Stream
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason
from synctalk.media.door import FILES_ONLY, file_url
from synctalk.media.truncation import promised_bytes

PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Flags of "video" streams that are cover art, thumbnails or photographs."""
MAX_BACK_S = 1.0
"""Time stamps that step back by more, in the order of decoding, come of files joined without care: nothing says what
belongs together."""
MAX_HOLE_S = 600.0
"""A longer hole in picture or audio is a broken time stamp."""
WITHOUT_PTS = frozenset({"avi"})
"""Containers that keep frames in the order of decoding, at even distances: presentation times that FFmpeg gives for
them are guesses."""
BROADCAST = frozenset({"mpeg", "mpegts"})
"""Containers that may be joined and left anywhere: frames before the first key frame are nobody's promise."""
MAX_PACKETS_TO_FIRST = 64
"""The first picture must come out of so many packets."""


@dataclass(frozen=True)
class Turn:
    """How the stored picture is turned to stand upright: mirrored left to right if `mirrored`, then turned by so many
    `quarters` counter-clockwise (as `np.rot90` does).
    """

    quarters: int = 0
    mirrored: bool = False

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The upright picture of `image`, uint8 [H, W, 3]; the same array where nothing is to turn."""
        if self.mirrored:
            image = image[:, ::-1]
        return np.ascontiguousarray(np.rot90(image, self.quarters)) if self != UPRIGHT else image


UPRIGHT = Turn()


@dataclass(frozen=True)
class VideoStream:
    """The best video stream of a file.

    Attributes:
        index: stream index in the container.
        pts_s: presentation times of the frames, seconds, ascending, [n_frames]; VFR and start offsets show here. Frames
            that an edit list hides, or that need a picture from before the file's beginning, are not among them.
        width, height: pixels of the upright picture.
        fps: mean frame rate as the container states it (0.0 where it does not).
        codec: FFmpeg's name.
        pixel_aspect: width of an upright picture's pixel over its height; players stretch the picture by it.
        n_missing: frames that the container's header promises and the file has no packets for, or only packets that
            need a key frame from before the file's beginning.
        turn: what makes the stored picture upright (phones record sideways and say so).
        interlaced: each picture is two fields, 1/2 frame apart; they are left woven.
        key_s: times of the key frames after which all can be decoded, ascending.
        in_order: the container has no presentation times of its own; `pts_s` follow from the order of decoding, and
            frames are counted instead of being found by time.
    """

    index: int
    pts_s: NDArray[np.float64]
    width: int
    height: int
    fps: float
    codec: str
    pixel_aspect: Fraction = Fraction(1)
    n_missing: int = 0
    turn: Turn = UPRIGHT
    interlaced: bool = False
    key_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    in_order: bool = False

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
    """The best audio stream of a file: stream index, hertz, channel count, time of the first sample that sounds (after
    an encoder's priming samples) and length in seconds.
    """

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
        return av.open(file_url(path), metadata_errors="replace", options=FILES_ONLY)
    except (av.FFmpegError, OSError) as error:
        raise ClipError(Reason.UNDECODABLE, f"{path.name}: {error.strerror or error}") from error


def best_video(container: av.container.InputContainer) -> av.VideoStream | None:
    """The video stream that is meant, never cover art; set to decode in one thread, for clips are worked on in
    parallel.

    Raises:
        ClipError: `UNDECODABLE`, no decoder for it.
    """
    best = container.streams.best("video")
    if best is not None and best.disposition & PICTURES:
        best = next((stream for stream in container.streams.video if not stream.disposition & PICTURES), None)
    if best is None:
        return None
    _check_decoder(container, best)
    best.codec_context.thread_type = "NONE"
    best.codec_context.thread_count = 1
    return cast(av.VideoStream, best)


def best_audio(container: av.container.InputContainer) -> av.AudioStream | None:
    """The audio stream that is meant.

    Raises:
        ClipError: `UNDECODABLE`, no decoder for it.
    """
    best = container.streams.best("audio")
    if best is not None:
        _check_decoder(container, best)
    return cast(av.AudioStream | None, best)


def _check_decoder(container: av.container.InputContainer, stream: Stream) -> None:
    codec: object = stream.codec_context  # None where FFmpeg knows no decoder, whatever PyAV's types say
    if codec is None:
        name = Path(container.name).name
        raise ClipError(Reason.UNDECODABLE, f"{name}: there is no decoder for its {stream.type} stream")


def clock_of(stream: Stream) -> Callable[[int], float]:
    """Time stamps of `stream` to seconds: the one conversion, so that equal stamps are equal numbers."""
    tick = stream.time_base or Fraction(1)
    numerator, denominator = tick.numerator, tick.denominator
    return lambda stamp: stamp * numerator / denominator


def clock_zero_s(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """The time that is the zero of an audio file's time line: the stamps of MP3 files begin after the encoder's delay,
    although that is skipped.
    """
    return clock_of(stream)(stream.start_time or 0) if container.format.name == "mp3" else 0.0


class _VideoPackets:
    """What the packets of the video stream say, gathered one by one."""

    def __init__(self, stream: av.VideoStream, format_names: set[str]) -> None:
        self.stream = stream
        self.to_s = clock_of(stream)
        self.in_order = bool(WITHOUT_PTS & format_names)
        self.may_begin_anywhere = bool(BROADCAST & format_names)
        self.pts_s: list[float] = []
        self.dts_s: list[float] = []
        self.key_s: list[float] = []
        self.n_packets = self.n_before_key = 0
        self.key_seen = False
        self.first: av.VideoFrame | None = None

    def add(self, packet: av.Packet[Stream]) -> None:
        if self.first is None and self.n_packets < MAX_PACKETS_TO_FIRST:
            self.first = self._decode(packet)
        self.n_packets += 1
        self.key_seen = self.key_seen or packet.is_keyframe
        self.n_before_key += not self.key_seen
        if packet.is_discard:
            return
        if packet.pts is None:
            self.in_order = True
        else:
            self.pts_s.append(self.to_s(packet.pts))
            if packet.is_keyframe:
                self.key_s.append(self.pts_s[-1])
        if packet.dts is not None:
            self.dts_s.append(self.to_s(packet.dts))

    def _decode(self, packet: av.Packet[Stream] | None) -> av.VideoFrame | None:
        """A picture that comes out for `packet`; None asks for what is held back. Damage is left to the reader."""
        try:
            return next(iter(self.stream.decode(packet)), None)
        except (av.FFmpegError, ValueError):
            return None

    def _times_s(self) -> NDArray[np.float64]:
        """Times of the frames that come out, ascending."""
        n_lost = self.n_before_key if self.key_seen else 0
        if self.in_order:
            rate = float(self.stream.average_rate or self.stream.guessed_rate or 25)
            return (np.unique(self.dts_s) if self.dts_s else np.arange(self.n_packets) / rate)[n_lost:]
        times_s = np.unique(self.pts_s)
        if self.first is None or self.first.pts is None:
            return times_s
        # nothing comes out for what needs a picture from before the file's beginning
        return times_s[times_s >= self.to_s(self.first.pts)]

    def found(self, path: Path) -> VideoStream | None:
        """The record of the stream; None where it shows nothing.

        Raises:
            ClipError: `UNDECODABLE`, broken time stamps, or pictures without a size.
        """
        if self.first is None:  # a codec that holds its pictures back gives them when told that no more will come
            self.first = self._decode(None)
        pts_s = self._times_s()
        if not len(pts_s):
            return None
        _check_stamps(path, self.dts_s, pts_s)
        codec = self.stream.codec_context
        if not (codec.width and codec.height):
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: its pictures have no size")
        turn = UPRIGHT if self.first is None else frame_turn(self.first)
        width, height = codec.width, codec.height
        aspect = self.stream.sample_aspect_ratio or Fraction(1)
        if turn.quarters % 2:
            width, height, aspect = height, width, 1 / aspect
        n_lost = self.n_before_key if self.key_seen and not self.may_begin_anywhere else 0
        return VideoStream(
            index=self.stream.index,
            pts_s=pts_s,
            width=width,
            height=height,
            fps=float(self.stream.average_rate or 0),
            codec=codec.name,
            pixel_aspect=aspect,
            n_missing=max(0, self.stream.frames - self.n_packets) + n_lost,
            turn=turn,
            interlaced=self.first is not None and self.first.interlaced_frame,
            key_s=np.sort(np.asarray(self.key_s)),
            in_order=self.in_order,
        )


class _AudioPackets:
    """What the packets of the audio stream say, gathered one by one."""

    def __init__(self, stream: av.AudioStream, zero_s: float) -> None:
        self.stream, self.zero_s = stream, zero_s
        self.to_s = clock_of(stream)
        self.start_s, self.end_s = np.inf, -np.inf

    def add(self, packet: av.Packet[Stream]) -> None:
        if packet.is_discard or packet.pts is None:
            return
        start = self.to_s(packet.pts)
        end = start + self.to_s(packet.duration or 0)
        if packet.has_sidedata("skip_samples"):  # priming and padding, which is no audio
            begin_n, end_n = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))
            rate = self.stream.codec_context.sample_rate or 1
            start, end = start + begin_n / rate, end - end_n / rate
        self.start_s, self.end_s = min(self.start_s, start), max(self.end_s, end)

    def found(self) -> AudioStream | None:
        """The record of the stream; None where nothing sounds."""
        if not np.isfinite(self.start_s):
            return None
        codec = self.stream.codec_context
        return AudioStream(
            index=self.stream.index,
            sample_rate=codec.sample_rate,
            channels=codec.channels,
            start_s=self.start_s - self.zero_s,
            duration_s=max(0.0, self.end_s - self.start_s),
            codec=codec.name,
        )


def _check_stamps(path: Path, dts_s: list[float], pts_s: NDArray[np.float64]) -> None:
    """Refuse time stamps that tell no story.

    Raises:
        ClipError: `UNDECODABLE`.
    """
    steps = np.diff(np.asarray(dts_s))
    if len(steps) and steps.min() < -MAX_BACK_S:
        at = dts_s[int(steps.argmin())]
        raise ClipError(Reason.UNDECODABLE, f"{path.name}: time stamps jump back by {-steps.min():.2f} s at {at:.2f} s")
    holes = np.diff(pts_s)
    if len(holes) and holes.max() > MAX_HOLE_S:
        at = float(pts_s[int(holes.argmax())])
        raise ClipError(Reason.UNDECODABLE, f"{path.name}: no picture for {holes.max():.0f} s after {at:.2f} s")


def frame_turn(frame: av.VideoFrame) -> Turn:
    """What makes a decoded frame upright, from its display matrix (ISO/IEC 14496-12 §6.2.2), in quarter turns."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(cast(Buffer, matrix)))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    # the matrix turns clockwise by atan2(b, a)
    return Turn(-round(np.arctan2(b, a) / (np.pi / 2)) % 4, mirrored)


def probe(path: Path) -> MediaInfo:
    """Streams and time stamps of `path`.

    Raises:
        ClipError: `EMPTY_FILE`, `TRUNCATED` or `UNDECODABLE`; the last also where time stamps contradict each other.
    """
    with open_container(path) as container:
        video, audio = best_video(container), best_audio(container)
        video_packets = None if video is None else _VideoPackets(video, set(container.format.name.split(",")))
        audio_packets = None if audio is None else _AudioPackets(audio, clock_zero_s(container, audio))
        of_stream = {found.stream.index: found for found in (video_packets, audio_packets) if found is not None}
        indexed = "mp4" in container.format.name
        wanted = [stream for stream in (video, audio) if stream is not None]
        try:
            for packet in container.demux(wanted) if wanted else ():
                if packet.size == 0:  # what demux ends with
                    continue
                if indexed and packet.is_corrupt:
                    # the index in front promises more than the file has; a broken-off transport stream is ordinary
                    at = clock_of(packet.stream)(packet.pts or 0)
                    raise ClipError(Reason.TRUNCATED, f"{path.name} breaks off after {at:.2f} s")
                of_stream[packet.stream_index].add(packet)
        except (av.FFmpegError, OSError) as error:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: {error.strerror or error}") from error
        return MediaInfo(
            path=path,
            video=None if video_packets is None else video_packets.found(path),
            audio=None if audio_packets is None else audio_packets.found(),
        )
