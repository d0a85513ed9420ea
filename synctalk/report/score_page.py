"""What `synctalk score` shows: a table of figures as text and CSV, and a page that opens offline.

The page lists every clip, worst first, and plays the videos where they lie.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from synctalk.evaluation.folder import Scored
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.pairs import Matching
from synctalk.report.page import clip_row, offset_bars, page_data, render_page
from synctalk.tables.figures import FIGURES
from synctalk.tables.table import WHY_TWO_PSNRS

VIEWS = {
    "frame": "whole frames (protocol of LRS)",
    "tracked": "tracked faces (SyncNet's own crop)",
    "face": "face crops",
    "mouth": "mouth regions",
}
GENERATED, REAL = "generated", "real"


@dataclass(frozen=True)
class Row:
    """A line of the table of figures, in words: without an interval where none can be told."""

    heading: str
    mean: str
    interval: str
    clips: str
    meaning: str


def figure_rows(scored: Scored) -> list[Row]:
    """Means with 95 % intervals, one decimal more than a clip's figure has; FID is of all frames at once."""
    rows = []
    for name, figure in FIGURES.items():
        decimals = figure.decimals + 1
        if name in scored.figures:
            f = scored.figures[name]
            interval = f"{f.low:.{decimals}f} to {f.high:.{decimals}f}"
            rows.append(Row(figure.heading, f"{f.value:.{decimals}f}", interval, str(f.n), figure.meaning))
        if name == "frame_fid" and scored.fid is not None:
            meaning = f"{figure.meaning}: {scored.fid.n_frames} of each kind"
            rows.append(Row(figure.heading, f"{scored.fid.value:.{decimals}f}", "", "", meaning))
    return rows


def to_markdown(rows: Iterable[Row]) -> str:
    """One row a figure: mean, 95 % interval, clips, and what it is."""
    lines = ["| figure | mean | 95 % interval | clips | |", "|---|---:|---:|---:|---|"]
    lines += [f"| {row.heading} | {row.mean} | {row.interval} | {row.clips} | {row.meaning} |" for row in rows]
    return "\n".join(lines) + "\n"


def to_csv(scored: Scored) -> str:
    """One line a figure: metric, value, low, high, n; FID has but a value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["metric", "value", "low", "high", "n"])
    for name, f in scored.figures.items():
        writer.writerow([name, f"{f.value:.6g}", f"{f.low:.6g}", f"{f.high:.6g}", f.n])
    if scored.fid is not None:
        writer.writerow(["frame_fid", f"{scored.fid.value:.6g}", "", "", ""])
    return out.getvalue()


def in_words(setting: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Protocol and judges as the page names them."""
    lse, wer, mouth = setting["lse"], setting["wer"], setting["mouth"]
    lines = []
    if lse:
        through = ", out of the published scripts' JPEG frame dump" if lse["jpeg"] else ""
        lines.append(("LSE", f"{lse['file']} in {lse['dtype']} sees {VIEWS[lse['sees']]}{through}"))
    if wer:
        beam = wer["beam"]
        lines.append(("WER", f"{wer['file']}, beam {beam['beam']}, at most {beam['max_tokens']} word pieces"))
    if mouth:
        lines.append(("mouth region", f"{mouth['mode'].replace('_', ' ')}, {mouth['size']} pixels"))
    lines.append(("faces", setting["faces"] or "not looked for: whole frames only"))
    lines += [(f"sha256 of {name}", digest) for name, digest in setting["sha256"].items()]
    return lines


def write_pages(scored: Scored, matching: Matching, setting: Mapping[str, Any], out: Path) -> str:
    """Write table.md, table.csv and report.html into `out`; returns what the terminal shows."""
    rows = figure_rows(scored)
    table = to_markdown(rows)
    (out / "table.md").write_text(table, encoding="utf-8")
    (out / "table.csv").write_text(to_csv(scored), encoding="utf-8")
    scores = sorted(scored.scores, key=lambda score: (score.lse_c or 0.0, score.mouth_psnr or 0.0, score.id))
    lpips = {clip.id: asdict(clip) for clip in scored.lpips}
    page = render_page(
        "score.html",
        n_clips=len(scores),
        figures=rows,
        why=WHY_TWO_PSNRS if "psnr_uint8" in scored.figures else "",
        setting=in_words(setting),
        notes=[asdict(note) for note in scored.notes],
        offsets=offset_bars([score.offset for score in scores if score.offset is not None]),
        windows=sum(score.n_windows or 0 for score in scores),
        data=page_data(
            _clips(scores, matching, out),
            [clip_row(asdict(score) | lpips.get(score.id, {}), None, GENERATED) for score in scores],
            methods=(REAL, GENERATED),
            shown=(REAL, GENERATED),
        ),
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    left_out = len({note.id for note in scored.notes if not note.scored})
    words = [f"{len(scored.scores)} clips scored, {left_out} not, {len(scored.notes)} notes ({out / 'notes.parquet'})"]
    kinds = Counter(str(note.finding) for note in scored.notes)
    words += [f"  {kind}: {count}" for kind, count in sorted(kinds.items())]
    return "\n".join([*words, "", table, f"page: {out / 'report.html'}"])


def _clips(scores: Sequence[ClipScore], matching: Matching, out: Path) -> list[dict[str, Any]]:
    """Clips of the gallery, with the paths from the page to their videos."""
    pairs = {pair.id: pair for pair in matching.pairs}
    clips = []
    for score in scores:
        pair = pairs[score.id]
        files = {REAL: pair.reference, GENERATED: pair.generated}
        videos = [
            {"method": name, "file": quote(Path(os.path.relpath(path, out)).as_posix())}
            for name, path in files.items()
            if path is not None
        ]
        clips.append({"id": score.id, "name": score.id, "transcript": score.reference, "videos": videos})
    return clips
