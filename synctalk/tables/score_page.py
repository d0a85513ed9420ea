"""What `synctalk score` shows: a table of figures as text and CSV, and a page that opens offline.

The page lists every clip, worst first, and plays the videos where they lie.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from synctalk.evaluation.bootstrap import Interval
from synctalk.evaluation.folder import Scored
from synctalk.evaluation.pairs import Matching
from synctalk.evaluation.score import ClipScore
from synctalk.tables.page import clip_row, offset_bars, page_data, render_page
from synctalk.tables.table import WHY_TWO_PSNRS

MEANINGS = {
    "lse_c": ("LSE-C ↑", "SyncNet's confidence: how much the best shift of the sound stands out"),
    "lse_d": ("LSE-D ↓", "SyncNet's distance at the best shift"),
    "lse_c_other": ("LSE-C, other sound", "the same with the sound of another clip: what chance looks like"),
    "n_windows": ("windows a clip", "of five frames; LSE-C of clips under about 30 depends on their number"),
    "offset": ("offset, frames", "mean best shift; LSE cannot see it"),
    "offset_within_1": ("offset within 1", "share of clips whose best shift is at most one frame"),
    "psnr": ("PSNR ↑", "face box at 96 x 96, floating point, dB"),
    "psnr_uint8": (
        "PSNR (uint8) ↑",
        "the same as published code computes it: bytes wrap",
    ),
    "ssim": ("SSIM ↑", "face box at 96 x 96; Gaussian window, sigma 1.5"),
    "mouth_psnr": ("mouth PSNR ↑", "mouth region of that box, dB"),
    "mouth_ssim": ("mouth SSIM ↑", "mouth region of that box"),
    "mean_mouth_psnr": ("mean mouth PSNR", "what the clip's own mean mouth would score: a still picture at its best"),
    "frame_psnr": ("frame PSNR ↑", "whole frame, dB"),
    "frame_psnr_uint8": ("frame PSNR (uint8) ↑", "whole frame, as published code computes it"),
    "frame_ssim": ("frame SSIM ↑", "whole frame"),
    "wer": ("WER % ↓", "word edits over words of all clips; lower case, punctuation kept"),
    "cer": ("CER % ↓", "character edits over characters of all clips"),
}
"""Heading and meaning of every figure."""
VIEWS = {
    "frame": "whole frames (protocol of LRS)",
    "tracked": "tracked faces (SyncNet's own crop)",
    "face": "face crops",
    "mouth": "mouth regions",
}
GENERATED, REAL = "generated", "real"


def to_markdown(figures: Mapping[str, Interval]) -> str:
    """One row a figure: mean, 95 % interval, clips, and what it is."""
    lines = ["| figure | mean | 95 % interval | clips | |", "|---|---:|---:|---:|---|"]
    for name, (heading, meaning) in MEANINGS.items():
        if name in figures:
            f = figures[name]
            lines.append(f"| {heading} | {f.value:.3f} | {f.low:.3f} to {f.high:.3f} | {f.n} | {meaning} |")
    return "\n".join(lines) + "\n"


def to_csv(figures: Mapping[str, Interval]) -> str:
    """One line a figure: metric, value, low, high, n."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["metric", "value", "low", "high", "n"])
    writer.writerows([name, f"{f.value:.6g}", f"{f.low:.6g}", f"{f.high:.6g}", f.n] for name, f in figures.items())
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
    table = to_markdown(scored.figures)
    (out / "table.md").write_text(table, encoding="utf-8")
    (out / "table.csv").write_text(to_csv(scored.figures), encoding="utf-8")
    scores = sorted(scored.scores, key=lambda score: (score.lse_c or 0.0, score.mouth_psnr or 0.0, score.id))
    page = render_page(
        "score.html",
        n_clips=len(scores),
        figures=[(*MEANINGS[name], scored.figures[name]) for name in MEANINGS if name in scored.figures],
        why=WHY_TWO_PSNRS if "psnr_uint8" in scored.figures else "",
        setting=in_words(setting),
        notes=[asdict(note) for note in scored.notes],
        offsets=offset_bars([score.offset for score in scores if score.offset is not None]),
        windows=sum(score.n_windows or 0 for score in scores),
        data=page_data(
            _clips(scores, matching, out),
            [clip_row(asdict(score), None, GENERATED) for score in scores],
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
    """Clips of the gallery, with the way from the page to their videos."""
    pairs = {pair.id: pair for pair in matching.pairs}
    clips = []
    for score in scores:
        pair = pairs[score.id]
        videos = {REAL: pair.reference, GENERATED: pair.generated}
        takes = [
            {"method": name, "file": quote(Path(os.path.relpath(path, out)).as_posix())}
            for name, path in videos.items()
            if path is not None
        ]
        clips.append({"id": score.id, "name": score.id, "transcript": score.reference, "takes": takes})
    return clips
