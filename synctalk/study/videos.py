"""Videos of all methods brought to one form, so that nothing but the faces tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, UserError
from synctalk.evaluation.videos.corpus import ClipVideo, decode_clip
from synctalk.media import probe, read_audio, read_video, write_video
from synctalk.timebase import FPS, n_samples

MOST_CUT_S = 0.5
"""Videos of one clip whose lengths differ by more are not of one clip, or one of them is broken."""

Source = Path | ClipVideo
"""A video file as it is, or a clip of the evaluation: a generated file, or the stretch of the real one that was
re-voiced.
"""


@dataclass(frozen=True)
class Form:
    """What every video of a study is like: square frames of `size` pixels, and x264's constant rate factor."""

    size: int
    crf: float


@dataclass(frozen=True)
class StudyClip:
    """Written videos of one clip: their common length, frames cut from each, and frame sizes where they differ."""

    clip: str
    n_frames: int
    n_cut: dict[str, int]
    sizes: dict[str, tuple[int, int]]


def fit(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A frame [H, W, 3] made as large as fits into [size, size, 3], black around it."""
    height, width = frame.shape[:2]
    scale = size / max(height, width)
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(frame, new, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size - new[1]) // 2, (size - new[0]) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + new[1], left : left + new[0]] = resized
    return square


def read_source(source: Source) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Frames at 25 fps, RGB [T, H, W, 3], and the video's own audio at 16 kHz.

    Raises:
        UserError: it cannot be decoded, or has no audio.
    """
    path = source if isinstance(source, Path) else source.generated or source.root / source.clip.video
    try:
        if isinstance(source, ClipVideo):
            return decode_clip(source)
        info = probe(source)
        return read_video(source, info).frames, read_audio(source, info.video.start_s if info.video else 0.0)
    except ClipError as error:
        raise UserError(path, f"cannot be shown ({error})", "mend the video or take it away") from error


def write_clip(clip: tuple[str, Mapping[str, tuple[Source, Path]]], form: Form) -> StudyClip:
    """Write every method's video of a clip to its target: same frame rate, size, length, codecs, no metadata.

    All are cut to the shortest. Each keeps its own audio, since that is what its lips were made for.

    Args:
        clip: its name, and method -> source and target.
        form: of all videos.

    Raises:
        UserError: a video cannot be decoded, or their lengths differ by more than `MOST_CUT_S`.
    """
    name, sources = clip
    videos = {method: read_source(source) for method, (source, _) in sources.items()}
    lengths = {method: len(frames) for method, (frames, _) in videos.items()}
    n_frames = min(lengths.values())
    if max(lengths.values()) - n_frames > MOST_CUT_S * FPS:
        seconds = ", ".join(f"{method} {length / FPS:.2f} s" for method, length in sorted(lengths.items()))
        raise UserError(name, f"its videos have unlike lengths ({seconds})", "take the clip away from a method")
    for method, (frames, pcm) in videos.items():
        audio = np.zeros(n_samples(n_frames), np.int16)
        audio[: len(pcm)] = pcm[: len(audio)]
        shown = (fit(frame, form.size) for frame in frames[:n_frames])
        write_video(sources[method][1], shown, audio=audio, crf=form.crf, preset="medium")
    sizes = {method: (frames.shape[2], frames.shape[1]) for method, (frames, _) in videos.items()}
    return StudyClip(
        clip=name,
        n_frames=n_frames,
        n_cut={method: length - n_frames for method, length in lengths.items() if length > n_frames},
        sizes=sizes if len(set(sizes.values())) > 1 else {},
    )
