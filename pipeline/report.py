"""Stage: everything that was measured and made -> one HTML page that opens offline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline.stage import run
from synctalk.evaluation.videos.corpus import clip_videos
from synctalk.evaluation.videos.external import match_samples
from synctalk.faces.extract import CropParams
from synctalk.params.read import entry_names, load
from synctalk.report.checks import sanity_checks
from synctalk.report.clips import ClipView, choose_clips, contact_sheet, jpeg, video_view
from synctalk.report.report import ReportParams, render, table_rows
from synctalk.report.results import corpus_view, load_json, read_clusters, read_curves
from synctalk.shards.clips import load_test_clips
from synctalk.tables.external import load_external
from synctalk.tables.paper_figures import METHOD_NAMES
from synctalk.tables.setting import TEST_CORPORA, load_setting
from synctalk.tables.table import (
    TABLE_CORPORA,
    Intervals,
    caption,
    method_table,
    reader_table,
    study_caption,
    study_table,
)


def main(
    results: Path, scores: Path, index: Path, shards: Path, generated: Path, models: Path, pictures: Path, out: Path
) -> None:
    """Write OUT from RESULTS, SCORES/<method>/<corpus>.parquet, the videos in GENERATED and the curves in MODELS.

    PICTURES/<corpus>.jpg shows the faces of the clip in the middle of those on the page.
    """
    variant, face_size, setting = load("variant", str), load("crop", CropParams).face_size, load_setting()
    methods, external = entry_names("methods"), load_external(results / "methods")
    clips: list[ClipView] = []
    scored: dict[tuple[str, str], pd.DataFrame] = {}
    pictures.mkdir(parents=True, exist_ok=True)
    for corpus in TEST_CORPORA:
        test = load_test_clips(corpus, index, shards)
        tables = {name: pd.read_parquet(scores / name / f"{corpus}.parquet") for name in ("ground_truth", *methods)}
        videos = {
            name: clip_videos(test, None if name == "ground_truth" else generated / name / corpus) for name in tables
        }
        for name, folder in external.videos.items():
            if (table := scores / name / f"{corpus}.parquet").is_file():
                tables[name] = pd.read_parquet(table)
                seen = set(tables[name]["id"])
                found = match_samples(test, folder / corpus).videos
                videos[name] = [video for video in found if video.sample.row.id in seen]
        scored |= {(corpus, name): table for name, table in tables.items()}
        here = []
        for clip_id in choose_clips(tables[variant], load("report", ReportParams).clips_per_corpus):
            views = [
                video_view(name, video, face_size)
                for name, of_method in videos.items()
                for video in of_method
                if video.sample.row.id == clip_id
            ]
            transcript = tables[variant].set_index("id").loc[clip_id, "reference"]
            here.append(ClipView(corpus, clip_id, str(transcript), views))
        (pictures / f"{corpus}.jpg").write_bytes(jpeg(contact_sheet(here[len(here) // 2])))
        clips += here
    of_methods = results / "methods"
    intervals: dict[str, Intervals] = {
        name: load_json(of_methods / name / "intervals.json") for name in ("ground_truth", *methods)
    }
    intervals |= external.intervals
    readers = {path.stem: load_json(path) for path in sorted((results / "readers").glob("*.json"))}
    rated = load_json(results / "study" / "summary.json")
    of_paper = {
        **{
            n: (method_table(n, intervals, external.rows), caption(n, setting, external.unscored))
            for n in TABLE_CORPORA
        },
        2: (reader_table(readers), caption(2, setting)),
        5: (study_table(rated), study_caption(rated)),
    }
    curves = [
        curve
        for path in sorted(models.rglob("curves.csv"))
        for curve in read_curves(path.parent.relative_to(models).as_posix(), path)
    ]
    page = render(
        title="report",
        scale=setting.scale,
        variant=variant,
        variant_row=METHOD_NAMES.get(variant, variant),
        about="Judges never supervised: other seeds and sizes than the networks that trained the generator.",
        tables=[
            {
                "heading": f"Table {number}",
                "caption": about.replace("`", ""),
                "rows": table_rows(cells),
            }
            for number, (cells, about) in sorted(of_paper.items())
        ],
        checks=sanity_checks(
            load_json(of_methods / "ground_truth" / "metrics.json"),
            {name: load_json(of_methods / name / "metrics.json") for name in methods},
        ),
        corpora=[corpus_view(path) for path in sorted((results / "corpora").glob("*.json"))],
        clips=clips,
        scores=scored,
        claims=load_json(results / "claims.json"),
        clusters=read_clusters(results / "clusters"),
        probe=pd.read_csv(results / "probe" / "units.csv").to_dict("records"),
        curves=curves,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
