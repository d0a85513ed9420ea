"""Decoding: frames at 25 a second and audio at 16 kHz mono on one common time line, by time stamps.

Time 0 is the start of the first video frame. Late streams, variable frame rates, 29.97 fps, 5.1 audio and 44.1 kHz are
ordinary: frames are picked by nearest presentation time, audio is cut or padded with silence to start at time 0, and
silence stands where packets are missing. Frames are upright RGB uint8 [T, H, W, 3]; audio is int16 [n].
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason
from synctalk.media.jpeg import JpegDump
from synctalk.media.probe import (
    MAX_BACK_S,
    MAX_HOLE_S,
    MediaInfo,
    VideoStream,
    best_audio,
    best_video,
    clock_of,
    clock_zero_s,
    open_container,
    probe,
)
from synctalk.timebase import FPS, SAMPLE_RATE

SEEKABLE = frozenset({"mov", "mp4", "matroska", "webm"})
"""Containers with an index that leads to a key frame; all others are decoded from their beginning."""
HOLD_S = 1.25 / FPS
"""A picture that does not decode is stood in for by the one before it, for no longer than this: one frame."""
STEP_S = 0.005
"""Audio whose time stamps leave the count of its samples by more is moved to where they say."""
STEP_FRAMES = 3
"""So many time stamps in a row must agree on a step: a single one is jitter."""
SURROUND_TO_MONO = {"FC": 0.7071, "FL": 0.5, "FR": 0.5, "LFE": 0.0} | dict.fromkeys(
    ("BL", "BR", "SL", "SR", "BC"), 0.3536
)
"""Gains of a surround mix in mono: half of the sum of the stereo downmix Lo/Ro (ATSC A/52 §7.8.2). Dialogue, which is
in the centre, keeps its level within 3 dB; FFmpeg's own mix, which can never reach full scale, takes 11 dB."""
UNNAMED = {3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""What so many channels without names are taken for, as FFmpeg does."""


@dataclass(frozen=True)
class Video:
    """Frames at 25 fps: `frames` uint8 RGB [T, H, W, 3]; `source_index` [T] says which stored frame each one is."""

    frames: NDArray[np.uint8]
    source_index: NDArray[np.int64]


def resample_index(stream: VideoStream, fps: float = FPS) -> NDArray[np.int64]:
    """For every output frame k (time start + k/fps) the stored frame that is nearest in time; [T] int64, ascending.

    T is the stream's duration times `fps`, rounded. At a constant `fps` this is 0, 1, 2, ...
    """
    n_out = max(1, int(stream.duration_s * fps + 0.5))
    wanted = stream.start_s + np.arange(n_out) / fps
    right = np.clip(np.searchsorted(stream.pts_s, wanted), 1, max(1, stream.n_frames - 1))
    left = right - 1
    if stream.n_frames == 1:
        return np.zeros(n_out, np.int64)
    # a tie goes to the earlier frame; the tolerance keeps container rounding (1/90000 s) from deciding
    nearer_right = (stream.pts_s[right] - wanted) < (wanted - stream.pts_s[left]) - 1e-4
    return np.where(nearer_right, right, left).astype(np.int64)


def require_video(info: MediaInfo) -> VideoStream:
    """The video stream of `info`.

    Raises:
        ClipError: `NO_VIDEO`.
    """
    if info.video is None:
        raise ClipError(Reason.NO_VIDEO, f"{info.path.name} has no video frames")
    return info.video


def iter_frames(
    path: Path, index: NDArray[np.int64], stream: VideoStream | None = None, *, jpeg: bool = False
) -> Iterator[NDArray[np.uint8]]:
    """Stored frames of `path` by number, one upright RGB uint8 [H, W, 3] at a time, in bounded memory.

    Decoding begins at the last key frame before the first number where the container can find it, and ends with the
    last number. Frames are found by presentation time, so that one that does not decode shifts no other; the one before
    stands in for it, for at most `HOLD_S`. A picture of another size than the first is scaled to it.

    Args:
        path: media file.
        index: frame numbers in presentation order, ascending; a number may repeat.
        stream: of `probe`, which is asked where None.
        jpeg: frames go through `JpegDump`, each that is asked for once.

    Raises:
        ClipError: `UNDECODABLE`; `OVER_REPORTED_FRAMES` where fewer frames decode than the file has packets for.
    """
    if not len(index):
        return
    stream = stream or require_video(probe(path))
    to_image = _Images(stream, jpeg=jpeg)
    pictures = _numbered_pictures(path, stream, int(index[0]))
    before: tuple[int, av.VideoFrame] | None = None
    now = next(pictures, None)
    for wanted in index.tolist():
        while now is not None and now[0] < wanted:
            before, now = now, next(pictures, None)
        number, frame = now if now is not None and now[0] == wanted else before or (-1, None)
        if frame is None or (number < wanted and stream.pts_s[wanted] - stream.pts_s[number] > HOLD_S):
            raise _undecoded(path, stream, number + 1, wanted)
        yield to_image(number, frame)


def _undecoded(path: Path, stream: VideoStream, n_decoded: int, wanted: int) -> ClipError:
    return ClipError(
        Reason.OVER_REPORTED_FRAMES,
        f"{path.name}: frame {wanted} does not decode, {n_decoded} of {stream.n_frames} did until then",
    )


class _Images:
    """Decoded frames to upright RGB [H, W, 3], by one conversion context; a frame that comes twice is made once."""

    def __init__(self, stream: VideoStream, *, jpeg: bool) -> None:
        sides = (stream.width, stream.height)
        self.width, self.height = sides[::-1] if stream.turn.quarters % 2 else sides
        self.dump = JpegDump(self.width, self.height) if jpeg else None
        self.turn = stream.turn
        self.reformatter = VideoReformatter()
        self.number = -1
        self.image: NDArray[np.uint8] = np.zeros(0, np.uint8)

    def __call__(self, number: int, frame: av.VideoFrame) -> NDArray[np.uint8]:
        if number != self.number:
            self.number, self.image = number, self.turn(self._rgb(frame) if self.dump is None else self.dump(frame))
        return self.image

    def _rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        rgb = self.reformatter.reformat(frame, width=self.width, height=self.height, format="rgb24", threads=1)
        return cast(NDArray[np.uint8], rgb.to_ndarray())


def _numbered_pictures(path: Path, stream: VideoStream, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decoded frames with their numbers, ascending, from `first` or before it."""
    keys = stream.key_s[stream.key_s <= stream.pts_s[first]]
    if len(keys) and keys[-1] > stream.start_s and not stream.in_order:
        pictures = _decode_from(path, stream, float(keys[-1]))
        head = next(pictures, None)
        if head is not None and stream.pts_s[head[0]] == keys[-1]:
            yield head
            yield from pictures
            return
        pictures.close()  # the container's index led elsewhere
    yield from _decode_from(path, stream, None)


def _decode_from(
    path: Path, stream: VideoStream, key_s: float | None
) -> Generator[tuple[int, av.VideoFrame], None, None]:
    """Decoded frames with their numbers, ascending, from the key frame at `key_s` on; None: from the beginning.

    Nothing comes where the container cannot find that key frame.
    """
    with open_container(path) as container:
        video = best_video(container)
        assert video is not None
        if key_s is not None:
            if not SEEKABLE & set(container.format.name.split(",")):
                return
            container.seek(round(key_s / cast(Fraction, video.time_base)), stream=video)
        to_s, last = clock_of(video), -1
        try:
            for frame in cast(Iterator[av.VideoFrame], _decode(container, video)):
                number = last + 1 if stream.in_order else _number(stream, frame, to_s)
                if number > last and (key_s is None or stream.pts_s[number] >= key_s):
                    yield number, frame
                    last = number
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: {error}") from error


def _number(stream: VideoStream, frame: av.VideoFrame, to_s: Callable[[int], float]) -> int:
    """The number of the stored frame whose time is nearest to that of `frame`; -1 for one before them all."""
    if frame.pts is None:
        return -1
    at = to_s(frame.pts)
    if at < stream.start_s:
        return -1
    right = min(int(np.searchsorted(stream.pts_s, at)), stream.n_frames - 1)
    nearer_left = right > 0 and at - stream.pts_s[right - 1] < stream.pts_s[right] - at
    return right - 1 if nearer_left else right


def _decode(
    container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Frames of `stream` in order. Damage before the first and after the last of them is passed over: a recording may
    begin and break off anywhere. Damage between them is raised.
    """
    begun = False
    damage: av.FFmpegError | None = None
    for packet in container.demux(stream):
        try:
            frames = cast("list[av.VideoFrame | av.AudioFrame]", packet.decode())
        except av.FFmpegError as error:
            damage = damage or error
            continue
        if frames and damage is not None and begun:
            raise damage
        if frames:
            begun, damage = True, None
            yield from frames
    if damage is not None and not begun:
        raise damage


def read_video(path: Path, info: MediaInfo | None = None, span: slice = slice(None), *, jpeg: bool = False) -> Video:
    """A clip's video at 25 fps. For clips of seconds; long footage goes through `iter_frames`.

    Args:
        path: media file.
        info: what `probe` said of it.
        span: stretch of the file's 25 fps time line; little else is decoded, and nothing else kept in memory.
        jpeg: as for `iter_frames`.

    Raises:
        ClipError: `EMPTY_FILE`, `TRUNCATED`, `UNDECODABLE`, `OVER_REPORTED_FRAMES` or `NO_VIDEO`, also where `span`
            lies behind the file's end.
    """
    stream = require_video(info or probe(path))
    index = resample_index(stream)[span]
    if not len(index):
        raise ClipError(Reason.NO_VIDEO, f"{path.name} has no frames from number {span.start} on")
    pictures = iter_frames(path, index, stream, jpeg=jpeg)
    first = next(pictures)
    # filled as they come: a list of them, stacked, takes twice the memory and as long again as decoding
    frames = np.empty((len(index), *first.shape), np.uint8)
    frames[0] = first
    for number, picture in enumerate(pictures, start=1):
        frames[number] = picture
    return Video(frames, index)


def read_audio(
    path: Path,
    origin_s: float | None = 0.0,
    sample_rate: int = SAMPLE_RATE,
    start_s: float = 0.0,
    stop_s: float | None = None,
) -> NDArray[np.int16]:
    """The best audio stream as int16 mono at `sample_rate`; sample 0 sounds at time stamp `origin_s`.

    Pass the video's `start_s` as `origin_s`, so that audio and video share their time line; None for audio that has
    no picture begins with its first sample. Holes are silence, what sounds twice sounds once, and surround is mixed by
    `SURROUND_TO_MONO`.

    `start_s` and `stop_s`, seconds after the origin, cut a stretch out: exactly that slice of the whole. The audio is
    decoded from its beginning all the same (filters and codecs remember what went before), in bounded memory.

    Raises:
        ClipError: `NO_AUDIO`, `EMPTY_FILE` or `UNDECODABLE`.
    """
    start = round(start_s * sample_rate)
    stop = None if stop_s is None else round(stop_s * sample_rate)
    kept: list[NDArray[np.int16]] = []
    end, empty = 0, True
    for chunk in _on_the_line(_placed_chunks(path, origin_s, sample_rate), path, sample_rate):
        empty = False
        piece = chunk[max(0, start - end) : None if stop is None else max(0, stop - end)]
        if len(piece):  # an empty view would keep its chunk
            kept.append(piece)
        end += len(chunk)
        if stop is not None and end >= stop:
            break
    if empty:
        raise ClipError(Reason.NO_AUDIO, f"{path.name}: the audio stream holds no samples")
    return np.concatenate(kept) if kept else np.zeros(0, np.int16)


def _on_the_line(
    chunks: Iterator[tuple[int, NDArray[np.int16]]], path: Path, sample_rate: int
) -> Iterator[NDArray[np.int16]]:
    """Chunks (index of the first sample, samples) as one line of samples from 0 on, without holes or overlaps."""
    end = 0
    for first, chunk in chunks:
        if first - end > MAX_HOLE_S * sample_rate:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: no audio for {(first - end) / sample_rate:.0f} s")
        while first > end:
            silence = np.zeros(min(first - end, sample_rate), np.int16)
            yield silence
            end += len(silence)
        chunk = chunk[end - first :]
        yield chunk
        end += len(chunk)


def _placed_chunks(path: Path, origin_s: float | None, sample_rate: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Resampled audio, each chunk with the index of its first sample, counted from `origin_s`.

    A run of frames that follow each other goes through one resampler and is placed by the run's first time stamp; a
    step of the time stamps, or another format, begins a new run.
    """
    with open_container(path) as container:
        stream = best_audio(container)
        if stream is None:
            raise ClipError(Reason.NO_AUDIO, f"{path.name} has no audio stream")
        to_mono: _Mono | None = None
        first = 0
        zero_s = clock_zero_s(container, stream)
        try:
            for frame, at_s, steps in _timed(
                cast(Iterator[av.AudioFrame], _decode(container, stream)), clock_of(stream), path
            ):
                if to_mono is None or steps or not to_mono.accepts(frame):
                    if to_mono is not None:
                        yield first, to_mono(None)
                    origin_s = at_s - zero_s if origin_s is None else origin_s
                    first, to_mono = round((at_s - zero_s - origin_s) * sample_rate), _Mono(frame, sample_rate)
                chunk = to_mono(frame)
                yield first, chunk
                first += len(chunk)
            if to_mono is not None:
                yield first, to_mono(None)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: audio: {error}") from error


def _timed(
    frames: Iterator[av.AudioFrame], to_s: Callable[[int], float], path: Path
) -> Iterator[tuple[av.AudioFrame, float, bool]]:
    """Each frame with the time at which it sounds, seconds, and whether it steps away from the end of the one before.

    Time is the count of samples from the first time stamp on. Where `STEP_FRAMES` stamps in a row leave the count by
    more than `STEP_S` to the same side, it steps by as much as all of them agree on.
    """
    first_s: float | None = None
    counted_s = shift_s = 0.0
    # frames whose followers are awaited, with their counted time and their stamp's distance from it
    waiting: deque[tuple[av.AudioFrame, float, float]] = deque()

    def leave() -> tuple[av.AudioFrame, float, bool]:
        nonlocal shift_s
        frame, counted, lead = waiting[0]
        step = 0.0
        if abs(lead - shift_s) > STEP_S:
            leads = [each - shift_s for _, _, each in waiting]
            if min(leads) > STEP_S or max(leads) < -STEP_S:
                step = min(leads, key=abs)
        if step < -MAX_BACK_S:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: audio: time stamps jump back by {-step:.2f} s")
        shift_s += step
        waiting.popleft()
        return frame, counted + shift_s, step != 0.0

    for frame in frames:
        stamp = None if frame.pts is None else to_s(frame.pts)
        if first_s is None:
            first_s = stamp or 0.0
        now = first_s + counted_s
        unstamped_lead = waiting[-1][2] if waiting else shift_s
        waiting.append((frame, now, unstamped_lead if stamp is None else stamp - now))
        counted_s += frame.samples / frame.sample_rate
        if len(waiting) == STEP_FRAMES:
            yield leave()
    while waiting:
        yield leave()


class _Mono:
    """Frames of one format to int16 mono at another rate."""

    def __init__(self, frame: av.AudioFrame, sample_rate: int) -> None:
        self.setup = self._setup(frame)
        n_channels = frame.layout.nb_channels
        self.gains: NDArray[np.float32] | None = None
        if n_channels > 2:
            names = [channel.name for channel in frame.layout.channels]
            if not set(names) & set(SURROUND_TO_MONO) and n_channels in UNNAMED:
                names = [channel.name for channel in av.AudioLayout(UNNAMED[n_channels]).channels]
            known = len(names) == n_channels and set(names) <= set(SURROUND_TO_MONO)
            gains = [SURROUND_TO_MONO[name] for name in names] if known else [1 / n_channels] * n_channels
            self.gains = np.asarray(gains, np.float32)
        # packed: PyAV 18.1 dies of a segmentation fault on a plane for each of eight channels
        form, layout = ("s16", "mono") if self.gains is None else ("flt", frame.layout.name)
        self.resampler = av.AudioResampler(format=form, layout=layout, rate=sample_rate)

    @staticmethod
    def _setup(frame: av.AudioFrame) -> tuple[str, str, int]:
        return frame.format.name, frame.layout.name, frame.sample_rate

    def accepts(self, frame: av.AudioFrame) -> bool:
        """Whether `frame` has the format that this was made for."""
        return self._setup(frame) == self.setup

    def __call__(self, frame: av.AudioFrame | None) -> NDArray[np.int16]:
        """Samples that `frame` brings out; None: those that are left."""
        blocks = [out.to_ndarray()[0] for out in self.resampler.resample(frame)]
        if not blocks:
            return np.zeros(0, np.int16)
        block = np.concatenate(blocks)
        if self.gains is None:
            return cast(NDArray[np.int16], block)
        mixed = np.rint(block.astype(np.float32).reshape(-1, len(self.gains)) @ self.gains * 2**15)
        pcm: NDArray[np.int16] = np.clip(mixed, -(2**15), 2**15 - 1).astype(np.int16)
        return pcm
