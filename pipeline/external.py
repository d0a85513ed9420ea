"""Stage: as `pipeline.evaluate --given`, until dvc.yaml calls that."""

from __future__ import annotations

from pathlib import Path

from pipeline.evaluate import main as evaluate
from pipeline.stage import run


def main(method: str, videos: Path, index: Path, shards: Path, judges: Path, out: Path, results: Path) -> None:
    """Score the videos of METHOD, VIDEOS/<corpus>/<clip id>.mp4."""
    evaluate(method, index, shards, judges, out, results, given=videos)


if __name__ == "__main__":
    run(main)
