"""Stage: somebody else's videos of the test clips, judges -> scores, their means, 95 % intervals, what is missing."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.evaluation.bench import load_bench, load_test_set
from synctalk.evaluation.score import score_external
from synctalk.evaluation.videos.external import corpus_folders, match_samples, write_findings
from synctalk.runtime.device import set_threads


def main(method: str, videos: Path, index: Path, shards: Path, judges: Path, out: Path, results: Path) -> None:
    """Score the videos of METHOD, VIDEOS/<role>/<clip id>.mp4: scores to OUT, means, intervals and notes to RESULTS."""
    set_threads()
    bench = load_bench(judges)
    scores, notes = {}, {}
    for role, folder in corpus_folders(method, videos, bench.roles).items():
        test = load_test_set(role, index, shards)
        matched = match_samples(test.root, test.clips, test.shards, folder)
        scores[role], notes[role] = score_external(
            matched,
            bench.judges(role),
            face_size=bench.face_size,
            mouth_size=bench.mouth_size,
            label=f"{method} {role}",
        )
    bench.write(scores, out, results)
    write_findings(results / "notes.csv", notes)


if __name__ == "__main__":
    run(main)
