"""Takes to score: short lossless videos of coloured waves with noise for sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from training.tiny import samples

from synctalk.corpora.records import Clip
from synctalk.evaluation.pictures import Take, film_frames
from synctalk.media.write import write_video
from synctalk.timebase import n_samples

FACE, MOUTH = 96, 32
START = 2
"""Frames of each video before the stretch that its sample covers."""


def waves(n_frames: int, seed: int) -> np.ndarray:
    """Frames [T, 160, 160, 3] with levels 40..200 that drift from frame to frame, differently for each seed."""
    t, y, x, c = np.ogrid[:n_frames, :160, :160, :3]
    return np.rint(120 + 80 * np.sin((1 + seed) * 0.3 * t + x / (9 + seed) + y / 14 + c)).astype(np.uint8)


def noise(n_frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8000, 8000, n_samples(n_frames)).astype(np.int16)


def real_takes(folder: Path, n_clips: int = 3) -> list[Take]:
    """Ground truth of clips of 20, 22, ... frames, whose videos have `START` frames more in front and one behind."""
    cache = samples(folder / "shards", n_clips)
    takes = []
    for number in range(n_clips):
        sample = cache.shards[number]
        row = replace(sample.row, start=START, audio_start=START)
        name = f"{number}.mp4"
        n_stored = START + row.n_frames + 1
        write_video(folder / name, waves(n_stored, number), audio=noise(n_stored, number), lossless=True)
        clip = Clip(row.id, row.speaker, "test", name, name, row.transcript)
        takes.append(Take(folder, clip, replace(sample, row=row), None))
    return takes


def made_takes(
    takes: list[Take], folder: Path, change: Callable[[np.ndarray], np.ndarray] = lambda frames: frames
) -> list[Take]:
    """Generated takes: the real frames, changed."""
    folder.mkdir(exist_ok=True)
    made = []
    for number, take in enumerate(takes):
        frames, pcm = film_frames(take)
        path = folder / f"{number}.mp4"
        write_video(path, change(frames), audio=pcm, lossless=True)
        made.append(replace(take, generated=path))
    return made
