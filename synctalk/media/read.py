"""Decoding: frames at 25 a second and audio at 16 kHz mono on one common time line, by time stamps.

Time 0 is the start of the first video frame. Late streams, variable frame rates, 29.97 fps, 5.1 sound and 44.1 kHz are
ordinary: frames are picked by nearest presentation time, audio is cut or padded with silence to start at time 0.
Frames are RGB uint8 [T, H, W, 3]; audio is int16 [n].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason
from synctalk.media.probe import MediaInfo, VideoStream, open_container, probe
from synctalk.timebase import FPS, SAMPLE_RATE

DECODE_BATCH = 64
"""Frames decoded at a time: bounds the memory of `iter_frames` for any length of video."""
DECORD_FORMATS = frozenset({"mov", "mp4"})
"""Containers whose frames decord finds by number. In MPEG-PS it drops the first group of pictures without a word, which
shifts the picture by half a second against the sound; so all other containers are read through PyAV, in order."""


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


def iter_frames(path: Path, index: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Stored frames of `path` by number, one RGB uint8 [H, W, 3] at a time, in bounded memory.

    Args:
        path: media file.
        index: frame numbers in presentation order, ascending; a number may repeat.

    Raises:
        ClipError: `UNDECODABLE`; `OVER_REPORTED_FRAMES` where fewer frames decode than the file has packets for.
    """
    with open_container(path) as container:
        seekable = bool(DECORD_FORMATS & set(container.format.name.split(",")))
    return _decord_frames(path, index) if seekable else _pyav_frames(path, index)


def _too_few(path: Path, n_decoded: int, index: NDArray[np.int64]) -> ClipError:
    return ClipError(
        Reason.OVER_REPORTED_FRAMES, f"{path.name}: {n_decoded} frames decode, {int(index[-1]) + 1} are promised"
    )


def _decord_frames(path: Path, index: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Frames through decord; what it refuses (pictures 48 or 72 wide, damaged streams) PyAV decides."""
    import decord  # not at the top: training reads shards on machines without it

    done = 0
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(index) and int(index[-1]) >= len(reader):
            raise _too_few(path, len(reader), index)
        while done < len(index):
            batch = reader.get_batch(index[done : done + DECODE_BATCH].tolist()).asnumpy()
            yield from batch
            done += len(batch)
    except (decord.DECORDError, RuntimeError, IndexError):
        yield from _pyav_frames(path, index[done:])


def _pyav_frames(path: Path, index: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    wanted = iter(index.tolist())
    number, n_decoded = next(wanted, None), 0
    with open_container(path) as container:
        stream = container.streams.best("video")
        assert stream is not None
        try:
            for frame in cast(Iterator[av.VideoFrame], container.decode(stream)):
                image = None
                while number == n_decoded:
                    if image is None:
                        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                    yield image
                    number = next(wanted, None)
                n_decoded += 1
                if number is None:
                    return
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: {error}") from error
    if number is not None:
        raise _too_few(path, n_decoded, index)


def read_video(path: Path, info: MediaInfo | None = None, span: slice = slice(None)) -> Video:
    """A clip's video at 25 fps. For clips of seconds; long footage goes through `iter_frames`.

    Args:
        path: media file.
        info: what `probe` said of it.
        span: stretch of the file's 25 fps time line; nothing else is kept in memory.

    Raises:
        ClipError: `EMPTY_FILE`, `TRUNCATED`, `UNDECODABLE`, `OVER_REPORTED_FRAMES` or `NO_VIDEO`, also where `span`
            lies behind the file's end.
    """
    index = resample_index(require_video(info or probe(path)))[span]
    if not len(index):
        raise ClipError(Reason.NO_VIDEO, f"{path.name} has no frames from number {span.start} on")
    frames = list(iter_frames(path, index))
    return Video(frames=np.stack(frames), source_index=index)


def read_audio(path: Path, origin_s: float | None = 0.0, sample_rate: int = SAMPLE_RATE) -> NDArray[np.int16]:
    """The best audio stream as int16 mono at `sample_rate`; sample 0 sounds at time stamp `origin_s`.

    Pass the video's `start_s` as `origin_s`, so that audio and video share their time line; None for sound that has
    no picture begins with its first sample.

    Raises:
        ClipError: `NO_AUDIO`, `EMPTY_FILE` or `UNDECODABLE`.
    """
    with open_container(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise ClipError(Reason.NO_AUDIO, f"{path.name} has no audio stream")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
        chunks: list[NDArray[np.int16]] = []
        start_s: float | None = None
        try:
            for frame in cast(Iterator[av.AudioFrame], container.decode(stream)):
                if start_s is None and frame.pts is not None and frame.time_base is not None:
                    start_s = float(frame.pts * frame.time_base)
                chunks += [out.to_ndarray()[0] for out in resampler.resample(frame)]
            chunks += [out.to_ndarray()[0] for out in resampler.resample(None)]
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ClipError(Reason.UNDECODABLE, f"{path.name}: audio: {error}") from error
    pcm = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    if pcm.size == 0:
        raise ClipError(Reason.NO_AUDIO, f"{path.name}: the audio stream holds no samples")
    lead = 0 if origin_s is None else round(((start_s or 0.0) - origin_s) * sample_rate)
    if lead >= 0:
        return np.concatenate([np.zeros(lead, np.int16), pcm])
    return pcm[-lead:]
