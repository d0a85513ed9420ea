"""Frames of the synthetic corpora per second and core: `python benchmarks/synthetic_corpora.py [RECORDINGS] [CORPUS]`.

CPU seconds of this process over a few recordings of each recipe of params.yaml, with as many utterances as the recipe
gives a recording. "whole" is what `synthesize` does for them, files included; the parts are timed on their own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from synctalk.corpora.synthetic.perform import draw_recording, frames_of, perform
from synctalk.corpora.synthetic.plan import PlannedRecording, plan
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.corpora.synthetic.stage import build_stage
from synctalk.corpora.synthetic.synthesize import synthesize_recording
from synctalk.media import write_video
from synctalk.params.read import RECIPES, read_yaml, validate

GOAL = 200
"""Frames a second and core that the project promises."""


class Stopwatch:
    """CPU seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start


def measure(recipe: SyntheticCorpus, recordings: list[PlannedRecording], folder: Path) -> tuple[int, dict[str, float]]:
    """Frames of `recordings`, and CPU seconds by part."""
    meter, n_frames = Stopwatch(), 0
    for planned in recordings:
        with meter.of("stage"):
            stage = build_stage(draw_recording(recipe, planned.speaker, planned.take))
        for number in range(planned.n_utterances):
            with meter.of("speech"):
                performance = perform(recipe, planned.speaker, planned.take, number)
            with meter.of("rendering"):
                frames = list(frames_of(stage, performance))
            with meter.of("encoding"):
                path = folder / "clip.mp4"
                write_video(path, frames, audio=performance.pcm, crf=recipe.crf, preset=recipe.preset)
            n_frames += len(frames)
        with meter.of("whole"):
            synthesize_recording(planned, recipe, folder)
    return n_frames, meter.seconds


def main(n_recordings: int, only: str) -> None:
    cv2.setNumThreads(0)
    recipes = validate(read_yaml(RECIPES), dict[str, SyntheticCorpus], "")
    for name, recipe in recipes.items():
        if only not in ("", name):
            continue
        planned = plan(recipe)
        chosen = planned[:: max(1, len(planned) // n_recordings)][:n_recordings]
        with tempfile.TemporaryDirectory() as folder:
            measure(recipe, chosen[:1], Path(folder))  # imports, tables and caches
            n_frames, seconds = measure(recipe, chosen, Path(folder))
        rate = n_frames / seconds["whole"]
        clips = sum(recording.n_utterances for recording in chosen)
        print(f"{name}: {len(chosen)} recordings, {clips} clips, {n_frames} frames of {recipe.size} x {recipe.size}")
        for part in ("speech", "stage", "rendering", "encoding", "whole"):
            print(
                f"  {part:<10}{1e3 * seconds[part] / n_frames:7.2f} ms a frame{n_frames / seconds[part]:9.0f} frames/s"
            )
        print(f"  {'meets' if rate >= GOAL else 'MISSES'} the goal of {GOAL} frames a second and core")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 4, sys.argv[2] if sys.argv[2:] else "")
