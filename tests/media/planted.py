"""Footage of any kind with flashes and clicks planted at known times, and what is measured on it.

Every picture carries its number as a row of light and dark squares at the bottom, and a light patch at the top left, so
that order, choice and uprightness of decoded frames can be read off them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from synctalk.media import iter_frames, probe, read_audio, read_video
from synctalk.media.read import require_video
from synctalk.timebase import FPS, SAMPLE_RATE

TICKS = 90_000
FINE_CLOCK = frozenset({"libx264", "libx265", "libvpx-vp9"})
"""Encoders that take a clock of 1/90000 s; the others count frames."""
FLASHES_S = (0.31, 0.93, 1.49)
"""A flash begins with the first frame at or after these times: off the grid of 25 frames a second."""
FLASH_S = 0.12
CLICK_S = 0.008
N_BITS = 8


@dataclass(frozen=True)
class Kind:
    """How footage is made.

    Attributes:
        suffix, container: file name's end and FFmpeg's name of the format.
        video, fps, options, pix_fmt: encoder of the pictures; "" for none.
        times_s: presentation times instead of even ones.
        video_start_s, audio_start_s: time of the first picture and of the first sample.
        size: width and height of the upright picture.
        rotation: degrees by which players are told to turn the stored picture, counter-clockwise.
        mirrored: and then to mirror it left to right.
        aspect: width of a pixel over its height.
        audio, rate, layout, sample_fmt: encoder of the audio; "" for none.
        audio_s: length of the audio; None: as long as the pictures.
        hole_s: packets of audio that begin in this stretch are lost.
        jitter_s: added to the time stamps of the audio's packets, in turn.
        mux: options of the container.
        seconds: length of the pictures.
    """

    suffix: str = ".mp4"
    container: str = "mp4"
    video: str = "libx264"
    fps: Fraction = Fraction(25)
    options: Mapping[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    times_s: tuple[float, ...] | None = None
    video_start_s: float = 0.0
    audio_start_s: float = 0.0
    size: tuple[int, int] = (160, 120)
    rotation: int = 0
    mirrored: bool = False
    aspect: Fraction = Fraction(1)
    audio: str = "aac"
    rate: int = 48_000
    layout: str = "stereo"
    sample_fmt: str | None = None
    audio_s: float | None = None
    hole_s: tuple[float, float] | None = None
    jitter_s: tuple[float, ...] = (0.0,)
    mux: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 2.0


@dataclass(frozen=True)
class Planted:
    """What lies where: times of the pictures and of the clicks, seconds after the first picture, and the numbers of the
    pictures that flashes begin with.
    """

    times_s: NDArray[np.float64]
    clicks_s: list[float]
    flashes: list[int]


@dataclass(frozen=True)
class Measured:
    """What was found: numbers of the pictures in the order of decoding and of those chosen for 25 frames a second, and
    the worst offsets, in seconds: of a picture's time from the planted one, and of a click from its flash.
    """

    numbers: list[int]
    chosen: list[int]
    picture_s: float
    click_s: float


def picture(number: int, flash: bool, width: int, height: int) -> NDArray[np.uint8]:
    """RGB [H, W, 3] that says its number."""
    image = np.full((height, width, 3), 150 if flash else 60, np.uint8)
    image[: height // 4, : width // 4] = 220
    side = width // N_BITS
    for bit in range(N_BITS):
        image[-height // 4 :, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0
    return image


def read_number(image: NDArray[np.uint8]) -> int:
    """The number that a picture says."""
    height, width = image.shape[:2]
    side = width // N_BITS
    row = image[-height // 8 - 2 : -height // 8 + 2].mean((0, 2))
    return sum(
        1 << bit for bit in range(N_BITS) if row[bit * side + side // 4 : (bit + 1) * side - side // 4].mean() > 127
    )


def is_flash(image: NDArray[np.uint8]) -> bool:
    """Whether the middle of a picture is light."""
    height, width = image.shape[:2]
    return bool(image[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3].mean() > 105)


def is_upright(image: NDArray[np.uint8]) -> bool:
    """Whether the light patch is at the top left, and nowhere else in the upper half."""
    height, width = image.shape[:2]
    left, right = image[: height // 5, : width // 5], image[: height // 5, -width // 5 :]
    return bool(left.mean() > 190 and right.mean() < 170)


def click(rate: int) -> NDArray[np.float64]:
    """A short sweep from 400 to 3,500 Hz, in -1..1: every codec keeps it, and it fits nowhere but in its place."""
    t = np.arange(round(CLICK_S * rate)) / rate
    phase = 2 * np.pi * (400 * t + (3500 - 400) * t**2 / (2 * CLICK_S))
    return np.sin(phase) * np.hanning(len(t))


def find_click(pcm: NDArray[np.int16], near_s: float, rate: int = SAMPLE_RATE, reach_s: float = 0.25) -> float:
    """Where, in seconds, the click lies that is nearest to `near_s`; `nan` where there is none within reach."""
    form = click(rate)
    first = max(0, round((near_s - reach_s) * rate))
    piece = pcm[first : round((near_s + reach_s) * rate) + len(form)].astype(float) / 2**15
    if len(piece) < len(form):
        return float("nan")
    likeness = np.abs(np.correlate(piece, form)) / (form @ form)
    at = int(likeness.argmax())
    return (first + at) / rate if likeness[at] > 0.03 else float("nan")


def _sound(kind: Kind, seconds: float, clicks_s: list[float]) -> NDArray[np.float64]:
    """Mono, -1..1, with clicks at times on the container's time line."""
    pcm = np.random.default_rng(0).normal(0, 0.001, round(seconds * kind.rate))
    form = click(kind.rate) * 0.5
    for at_s in clicks_s:
        at = round((at_s - kind.audio_start_s) * kind.rate)
        if at >= 0 and at + len(form) <= len(pcm):
            pcm[at : at + len(form)] += form
    return pcm


def _channels(pcm: NDArray[np.float64], layout: str) -> NDArray[np.float32]:
    """Mono audio in every channel, and in surround in the centre only, [channels, n]."""
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    gains = np.asarray([float(name == "FC") if "FC" in names else 1.0 for name in names])
    return (gains[:, None] * pcm).astype(np.float32)


def make(path: Path, kind: Kind, flashes_s: tuple[float, ...] = FLASHES_S) -> Planted:
    """Write footage of `kind`, with a flash and a click at the first picture from each of `flashes_s` on."""
    if kind.times_s is None:
        times_s = np.arange(round(kind.seconds * kind.fps)) / float(kind.fps)
    else:
        times_s = np.asarray(kind.times_s)
    starts = [int(np.searchsorted(times_s, flash_s - 1e-9)) for flash_s in flashes_s]
    clicks_s = [float(times_s[start]) for start in starts]
    lit = [any(begin <= t < begin + FLASH_S for begin in clicks_s) for t in times_s]
    with av.open(str(path), "w", format=kind.container, options=dict(kind.mux)) as container:
        video = _add_video(container, kind) if kind.video else None
        audio = _add_audio(container, kind) if kind.audio else None
        container.start_encoding()
        if video is not None:
            _write_pictures(container, video, kind, times_s, lit)
        if audio is not None:
            seconds = kind.seconds + kind.video_start_s - kind.audio_start_s if kind.audio_s is None else kind.audio_s
            pcm = _sound(kind, seconds, [kind.video_start_s + at for at in clicks_s])
            _write_sound(container, audio, kind, pcm)
    return Planted(times_s, clicks_s, starts)


def _clock(kind: Kind) -> Fraction:
    return Fraction(1, TICKS) if kind.video in FINE_CLOCK and kind.container != "avi" else 1 / Fraction(kind.fps)


def _add_video(container: Any, kind: Kind) -> Any:
    quick = {"preset": "veryfast"} if kind.video in ("libx264", "libx265") else {}
    stream = container.add_stream(kind.video, rate=kind.fps, options=quick | dict(kind.options))
    width, height = kind.size if kind.rotation % 180 == 0 else kind.size[::-1]
    stream.width, stream.height, stream.pix_fmt = width, height, kind.pix_fmt
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = _clock(kind)
    if kind.aspect != 1:
        stream.codec_context.sample_aspect_ratio = kind.aspect
    if kind.rotation or kind.mirrored:
        stream.set_display_rotation(kind.rotation, hflip=kind.mirrored)
    return stream


def _add_audio(container: Any, kind: Kind) -> Any:
    options = {"strict": "experimental"} if kind.audio == "vorbis" else {}
    stream = container.add_stream(kind.audio, rate=kind.rate, layout=kind.layout, options=options)
    if kind.sample_fmt:
        stream.format = kind.sample_fmt
    return stream


def _write_pictures(container: Any, stream: Any, kind: Kind, times_s: NDArray[np.float64], lit: list[bool]) -> None:
    clock = _clock(kind)
    for number, (time_s, flash) in enumerate(zip(times_s, lit, strict=True)):
        image = picture(number, flash, *kind.size)
        stored = np.rot90(image[:, ::-1] if kind.mirrored else image, -kind.rotation // 90)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")
        frame.pts, frame.time_base = round(Fraction(float(time_s + kind.video_start_s)) / clock), clock
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_sound(container: Any, stream: Any, kind: Kind, pcm: NDArray[np.float64]) -> None:
    channels = _channels(pcm, kind.layout)
    context = stream.codec_context
    resampler = av.AudioResampler(format=context.format, layout=kind.layout, rate=kind.rate)
    first = round(kind.audio_start_s * kind.rate)
    n_muxed = 0

    def mux(packets: list[Any]) -> None:
        nonlocal n_muxed
        for packet in packets:
            begin_s = float(packet.pts * packet.time_base)
            if kind.hole_s is not None and kind.hole_s[0] <= begin_s < kind.hole_s[1]:
                continue
            late = round(kind.jitter_s[n_muxed % len(kind.jitter_s)] / float(packet.time_base))
            packet.pts += late
            packet.dts += late
            n_muxed += 1
            container.mux(packet)

    size = context.frame_size or 1024
    for start in range(0, channels.shape[1], size):
        chunk = channels[:, start : start + size].T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(chunk, format="flt", layout=kind.layout)
        frame.sample_rate, frame.pts, frame.time_base = kind.rate, first + start, Fraction(1, kind.rate)
        for ready in resampler.resample(frame):
            mux(stream.encode(ready))
    mux(stream.encode(None))


def measure(path: Path, planted: Planted, audio: Path | None = None) -> Measured:
    """Decode `path` (and audio of a file of its own) by synctalk.media and compare with what was planted."""
    info = probe(path)
    stream = require_video(info)
    images = list(iter_frames(path, np.arange(stream.n_frames), stream))
    assert all(is_upright(image) for image in images)
    numbers = [read_number(image) for image in images]
    origin_s = stream.start_s
    pcm = read_audio(path, origin_s) if audio is None else read_audio(audio)
    flashes = [n for n in range(len(images)) if is_flash(images[n]) and (n == 0 or not is_flash(images[n - 1]))]
    assert [numbers[n] for n in flashes] == planted.flashes
    clicks = [
        find_click(pcm, at_s) - (stream.pts_s[n] - origin_s) for at_s, n in zip(planted.clicks_s, flashes, strict=True)
    ]
    times_s = planted.times_s[numbers] - planted.times_s[numbers[0]]
    video = read_video(path, info)
    return Measured(
        numbers=numbers,
        chosen=[read_number(image) for image in video.frames],
        picture_s=float(np.abs(stream.pts_s - origin_s - times_s).max()),
        click_s=max(clicks, key=lambda offset: np.inf if np.isnan(offset) else abs(offset)),
    )


def nearest(times_s: NDArray[np.float64], n_frames: int) -> list[set[int]]:
    """For each 25 fps frame the pictures that are nearest in time, those within a container's rounding of 1 ms."""
    distances = np.abs(times_s[None] - times_s[0] - np.arange(n_frames)[:, None] / FPS)
    return [set(np.flatnonzero(row <= row.min() + 0.0021).tolist()) for row in distances]
