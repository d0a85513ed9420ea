"""Encoding and muxing. The same frames and options give the same bytes, on any number of workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from synctalk.atomic import appearing
from synctalk.media.door import file_url
from synctalk.timebase import FPS, SAMPLE_RATE

TICKS = 90_000
"""Clock of explicit presentation times, 1/s."""
CHUNK_S = 0.5
"""Audio is muxed in pieces of so many seconds, between the frames of the same time."""
REPEATABLE = "mbtree=0"
"""x264's macroblock tree gives the same pictures other bytes now and then, with one thread too (LOG.md)."""
GRID_BIT_RATE = 1_150_000
"""Bits a second of GRID's smaller videos (mpg_vcd)."""
GRID_SAMPLE_RATE = 44_100


def _audio_chunks(pcm: NDArray[np.int16], rate: int) -> Iterator[av.AudioFrame]:
    size = int(CHUNK_S * rate)
    for start in range(0, len(pcm), size):
        chunk = np.ascontiguousarray(pcm[None, start : start + size])
        frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame


class _AudioTrack:
    """The audio stream of a file that is being written: takes int16 mono, encodes and muxes it in time.

    `stored_rate` is that of the stream, `rate` that of `pcm`.
    """

    def __init__(
        self,
        container: av.container.OutputContainer,
        codec: str,
        pcm: NDArray[np.int16],
        rate: int,
        stored_rate: int | None = None,
    ) -> None:
        stored_rate = stored_rate or rate
        self.container = container
        self.stream = cast(av.AudioStream, container.add_stream(codec, rate=stored_rate, layout="mono"))
        self.stream.codec_context.flags |= av.codec.context.Flags.bitexact
        self.resampler = av.AudioResampler(format=self.stream.codec_context.format, layout="mono", rate=stored_rate)
        self.chunks = _audio_chunks(pcm, rate)
        self.muxed_s = 0.0

    def _encode(self, chunk: av.AudioFrame | None) -> None:
        for frame in self.resampler.resample(chunk):
            self.container.mux(self.stream.encode(frame))

    def until(self, seconds: float) -> None:
        """Mux the audio up to `seconds`, or to its end."""
        while self.muxed_s < seconds and (chunk := next(self.chunks, None)) is not None:
            self._encode(chunk)
            self.muxed_s += CHUNK_S

    def finish(self) -> None:
        """Mux what is left, and close the stream."""
        self.until(float("inf"))
        self._encode(None)
        self.container.mux(self.stream.encode(None))


def _ticks(path: Path, pts_s: NDArray[np.float64], number: int) -> int:
    """The time stamp of a frame.

    Raises:
        ValueError: there is none, it is negative, or it is not after that of the frame before.
    """
    if number >= len(pts_s):
        raise ValueError(f"{path}: more frames than the {len(pts_s)} times that are given")
    before = pts_s[number - 1] if number else -1.0 / TICKS
    if not pts_s[number] > before:
        raise ValueError(f"{path}: frame {number} is at {pts_s[number]:.4f} s, which is not after {before:.4f} s")
    return round(float(pts_s[number]) * TICKS)


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    audio: NDArray[np.int16] | None = None,
    fps: Fraction | int = FPS,
    pts_s: NDArray[np.float64] | None = None,
    sample_rate: int = SAMPLE_RATE,
    crf: float = 18,
    preset: str = "veryfast",
    gop: int | None = None,
    lossless: bool = False,
    pixel_aspect: Fraction | int = 1,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write an MP4 (H.264, AAC mono) with its index in front, by way of a temporary file.

    Args:
        path: destination; appears only when complete.
        frames: RGB uint8 [H, W, 3].
        audio: int16 mono at `sample_rate`, starting with the first frame.
        fps: frame rate.
        pts_s: presentation time of each frame, seconds; `fps` is then the length of the last one only. None spaces
            them evenly by `fps`.
        sample_rate: of `audio`, Hz.
        crf: x264's constant rate factor, 0 (best) to 51.
        preset: x264's speed preset.
        gop: longest distance between key frames (x264's default where None).
        lossless: quantiser 0 and no chroma subsampling; exact, but few players show it.
        pixel_aspect: width of a pixel over its height.
        metadata: container tags.

    Returns:
        The number of frames written.

    Raises:
        ValueError: no frames, frames of unequal size, or times that are too few, negative, or do not rise.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise ValueError(f"{path}: no frames to write")
    height, width = first.shape[:2]
    options = {"preset": preset, "threads": "1"}
    options |= {"qp": "0"} if lossless else {"crf": str(crf), "x264-params": REPEATABLE}
    codec, pix_fmt = ("libx264rgb", "rgb24") if lossless else ("libx264", "yuv420p")
    if not lossless and (height % 2 or width % 2):
        pix_fmt = "yuv444p"  # odd sizes cannot have chroma of half the size
    if gop is not None:
        options["g"] = str(gop)
    n_frames = 0
    container_options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with (
        appearing(path) as temporary,
        av.open(file_url(temporary), "w", format="mp4", options=container_options) as container,
    ):
        video = cast(av.VideoStream, container.add_stream(codec, rate=fps, options=options))
        if pts_s is not None:
            video.codec_context.time_base = Fraction(1, TICKS)
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        if pixel_aspect != 1:
            video.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        if not lossless:
            # the matrix that RGB is converted by; players take large pictures without the tag for BT.709
            video.codec_context.colorspace = Colorspace.ITU601
            video.codec_context.color_range = ColorRange.MPEG
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        track = None if audio is None else _AudioTrack(container, "aac", audio, sample_rate)
        container.metadata.update(metadata or {})
        image: NDArray[np.uint8] | None = first
        while image is not None:
            if image.shape != first.shape:
                raise ValueError(f"{path}: frame {n_frames} is {image.shape}, the first was {first.shape}")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if pts_s is not None:
                frame.pts, frame.time_base = _ticks(path, pts_s, n_frames), Fraction(1, TICKS)
            container.mux(video.encode(frame))
            n_frames += 1
            if track is not None:
                track.until(float(n_frames / fps) if pts_s is None else float(pts_s[n_frames - 1]))
            image = next(iterator, None)
        container.mux(video.encode(None))
        if track is not None:
            track.finish()
    return n_frames


def write_mpeg(path: Path, frames: Iterable[NDArray[np.uint8]], audio: NDArray[np.int16]) -> None:
    """Write an MPEG-1 program stream as GRID's: 25 fps, MP2 audio at 44.1 kHz. By way of a temporary file.

    Args:
        path: destination (.mpg); appears only when complete.
        frames: RGB uint8 [H, W, 3].
        audio: int16 mono at 16 kHz, starting with the first frame.

    Raises:
        ValueError: no frames.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise ValueError(f"{path}: no frames to write")
    height, width = first.shape[:2]
    with (
        appearing(path) as temporary,
        av.open(file_url(temporary), "w", format="mpeg", options={"fflags": "+bitexact"}) as container,
    ):
        video = container.add_stream("mpeg1video", rate=FPS)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.bit_rate = GRID_BIT_RATE
        video.codec_context.thread_count = 1  # each thread codes slices of its own: other bytes
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        track = _AudioTrack(container, "mp2", audio, SAMPLE_RATE, GRID_SAMPLE_RATE)
        for number, image in enumerate(chain([first], iterator)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
            track.until((number + 1) / FPS)
        container.mux(video.encode(None))
        track.finish()


def write_audio(path: Path, pcm: NDArray[np.int16], sample_rate: int = SAMPLE_RATE) -> None:
    """Write int16 mono `pcm` as .wav (exact) or .m4a (AAC), by way of a temporary file.

    Raises:
        ValueError: another suffix, or no samples.
    """
    if not len(pcm):
        raise ValueError(f"{path}: no audio to write")
    kinds = {".wav": ("wav", "pcm_s16le"), ".m4a": ("mp4", "aac")}
    if path.suffix not in kinds:
        raise ValueError(f"{path}: write_audio knows .wav and .m4a")
    container_format, codec = kinds[path.suffix]
    with (
        appearing(path) as temporary,
        av.open(file_url(temporary), "w", format=container_format, options={"fflags": "+bitexact"}) as container,
    ):
        _AudioTrack(container, codec, pcm, sample_rate).finish()
