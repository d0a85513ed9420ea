"""Stage: videos of a method (or the real ones), judges -> scores of every clip, their means, and 95 % intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.stage import run
from synctalk.evaluation.bench import load_bench, load_test_set
from synctalk.evaluation.score import score_clip_videos
from synctalk.evaluation.videos.corpus import clip_videos
from synctalk.runtime.device import set_threads


def main(
    method: str,
    index: Path,
    shards: Path,
    judges: Path,
    out: Path,
    results: Path,
    generated: Annotated[
        Path | None, typer.Option(help="Folder of generated videos; without it the real ones.")
    ] = None,
) -> None:
    """Score METHOD on the test clips of the roles lrs2 and lrs3: scores to OUT, means and intervals to RESULTS."""
    set_threads()
    bench = load_bench(judges)
    scores = {}
    for role in bench.roles:
        test = load_test_set(role, index, shards)
        takes = clip_videos(test.root, test.clips, test.shards, generated / role if generated else None)
        scores[role] = score_clip_videos(
            takes,
            bench.judges(role),
            face_size=bench.face_size,
            mouth_size=bench.mouth_size,
            label=f"{method} {role}",
        )
    bench.write(scores, out, results)


if __name__ == "__main__":
    run(main)
