"""Stage: real, generated or given videos of the test clips, judges -> scores of every clip, means, 95 % intervals."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.stage import run
from synctalk.evaluation.bench import load_bench
from synctalk.evaluation.score import score_clips
from synctalk.evaluation.videos.corpus import clip_videos, prepare_clip
from synctalk.evaluation.videos.external import Matched, corpus_folders, match_samples, prepare_external
from synctalk.evaluation.videos.findings import write_findings
from synctalk.runtime.device import set_threads
from synctalk.shards.clips import load_test_clips


def main(
    method: str,
    index: Path,
    shards: Path,
    judges: Path,
    out: Path,
    results: Path,
    generated: Annotated[Path | None, typer.Option(help="Folder of videos that the pipeline generated.")] = None,
    given: Annotated[Path | None, typer.Option(help="Folder of somebody else's, <corpus>/<clip id>.mp4.")] = None,
) -> None:
    """Score the videos of METHOD, without a folder the real ones: scores to OUT, means and intervals to RESULTS.

    What is missing or unusable among those of --given is listed in RESULTS/notes.csv.
    """
    set_threads()
    bench = load_bench(judges)
    scores, notes = {}, {}
    for corpus in corpus_folders(method, given, bench.corpora) if given else bench.corpora:
        test = load_test_clips(corpus, index, shards)
        if given:
            matched, prepare = match_samples(test, given / corpus), partial(prepare_external, setup=bench.setup)
        else:
            videos = clip_videos(test, generated / corpus if generated else None)
            matched, prepare = Matched(tuple(videos), ()), partial(prepare_clip, setup=bench.setup)
        judged_by, label = bench.judges(corpus), f"{method} {corpus}"
        scores[corpus], found = score_clips(matched.videos, prepare, judged_by, label=label)
        notes[corpus] = [*matched.notes, *found]
    bench.write(scores, out, results)
    if given:
        write_findings(results / "notes.csv", notes)


if __name__ == "__main__":
    run(main)
