"""A small study: folders of short videos whose names occur nowhere else, and answers as the page writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from synctalk.media import write_video
from synctalk.study.answers import checksum
from synctalk.study.build import Built, StudyPlan, build_study, folder_sources, handed_out
from synctalk.study.records import QUESTIONS, Key, Origin, Shown, opaque_name
from synctalk.study.videos import Form
from synctalk.timebase import n_samples

METHODS = ("ground_truth", "quokkalip", "zebratalk")
CLIPS = ("spk7/kumquat1", "spk7/kumquat2", "spk9/kumquat1", "spk9/kumquat3")
N_FRAMES = 20


def picture(n_frames: int, width: int, height: int, seed: int) -> np.ndarray:
    """Frames [T, H, W, 3] with a bar that moves."""
    t, _, x, c = np.ogrid[:n_frames, :height, :width, :3]
    return (110 + 90 * np.sin(0.4 * t + x / 9 + seed + c) + np.zeros((1, height, 1, 1))).astype(np.uint8)


def write_folders(root: Path) -> dict[str, Path]:
    """Every clip of every method; methods differ in frame size, length, sample rate and tags."""
    for number, method in enumerate(METHODS):
        for place, clip in enumerate(CLIPS):
            path = root / method / f"{clip}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            n_frames = N_FRAMES + number
            rate = (16000, 22050, 44100)[number]
            tone = np.sin(np.arange(n_samples(n_frames) * rate // 16000) / 20) * 9000
            frames = picture(n_frames, 64 + 16 * number, 64, place)
            write_video(
                path,
                frames,
                audio=tone.astype(np.int16),
                sample_rate=rate,
                metadata={"title": f"walnut {method}", "comment": clip},
            )
    return {method: root / method for method in METHODS}


def small_build(root: Path, *, n_videos: int = 12, n_raters: int = 3, overlap: int = 1, seed: int = 5) -> Built:
    """Build a study of those folders in `root/study` with its key in `root/key.json`."""
    plan = StudyPlan(n_videos, n_raters, overlap, seed, Form(size=96, crf=20))
    sources = folder_sources(write_folders(root / "videos"))
    return build_study(sources, plan, Origin(), root / "study", root / "key.json")


def small_key(raters: dict[str, list[tuple[str, str]]]) -> Key:
    """A key without videos; `raters` has for each the (method, clip) that they rate."""
    secret = "0" * 32
    videos = {
        opaque_name(secret, method, clip): Shown(method, clip, "")
        for shown in raters.values()
        for method, clip in shown
    }
    shares = {rater: tuple(opaque_name(secret, *one) for one in shown) for rater, shown in raters.items()}
    return Key(secret, 0, 1, Origin(), videos, shares)


def signed(answers: dict[str, Any]) -> dict[str, Any]:
    """Answers with the checksum of what they say."""
    return answers | {"checksum": checksum(answers)}


def answers_of(
    key: Key, rater: str, score: Callable[[str, str, str], int | None], saved: str = "2026-01-01T10:00:00.000Z"
) -> dict[str, Any]:
    """A whole file of answers; `score` says it from method, clip and question."""
    rows = [
        {"video": video, "plays": 1, "seconds": 9, "at": 1}
        | {q.name: score(key.videos[video].method, key.videos[video].clip, q.name) for q in QUESTIONS}
        for video in key.raters[rater]
    ]
    return signed(
        {
            "study": key.study,
            "rater": rater,
            "assignment": handed_out(key)["raters"][rater]["assignment"],
            "saved": saved,
            "complete": True,
            "answers": rows,
        }
    )
