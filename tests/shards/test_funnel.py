"""What a corpus' funnel counts, and the tables behind its plots."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from synctalk.errors import Reason
from synctalk.parquet import write_table
from synctalk.rejected import Rejected
from synctalk.runtime.parts import part_path
from synctalk.shards.funnel import STEPS, SyncFigures, face_widths, funnel, steps, sync_figures, write_plots
from synctalk.shards.records import CROP_SCHEMA, SCREENING_SCHEMA, Crop, IndexRow, crop_to_row

NOTHING = SyncFigures(Counter(), [], 0)


def test_clips_that_the_lists_leave_out_are_counted_but_do_not_lower_the_keep_rate() -> None:
    kept = IndexRow("k", "k", "k", "test", "s", "", 0, 0, 45_000, "test-00000.tar", 0, 0, "")
    left_out = [Rejected(f"a/{k}", "index", Reason.NOT_LISTED, "") for k in range(7)]
    lost = [Rejected("b", "crop", Reason.NO_FACE, "")]
    counted = funnel([kept], left_out + lost, NOTHING)
    assert (counted["clips"], counted["kept"], counted["keep_rate"], counted["hours"]) == (9, 1, 0.5, 0.5)
    assert counted["rejected"] == {"no_face": 1, "not_listed": 7}
    assert funnel([], left_out, NOTHING)["keep_rate"] == 0.0


def test_every_reason_belongs_to_one_step() -> None:
    placed = Counter(reason for reasons in STEPS.values() for reason in reasons)
    assert placed == Counter(set(Reason) - {Reason.NOT_LISTED})


def test_every_step_of_the_funnel_loses_its_own() -> None:
    lost = {
        Reason.NOT_LISTED: 1000, Reason.TRUNCATED: 3, Reason.NO_AUDIO: 2, Reason.NO_FACE: 4, Reason.SILENT_AUDIO: 1,
        Reason.OUT_OF_SYNC: 6,
    }  # fmt: skip
    assert steps(10, lost) == {"listed": 26, "readable": 21, "face": 17, "quality": 16, "sync": 10, "packed": 10}
    assert list(steps(0, {})) == ["listed", "readable", "face", "quality", "sync", "packed"]


def test_figures_of_the_screening() -> None:
    sync = SyncFigures(Counter({0: 6, -1: 2, 5: 2}), [2.0, 4.0, 9.0], 2)
    assert funnel([], [], sync)["screening"] == {
        "measured": 3, "repaired": 2, "confidence": 4.0, "offset_within_1": 0.8,
    }  # fmt: skip
    assert funnel([], [], NOTHING)["screening"] == {"measured": 0, "repaired": 0}


def crop(name: str, width: int) -> Crop:
    boxes = np.array([[10, 0, 10 + width, 50], [10, 0, 10 + width, 50], [0, 0, 500, 50]], np.int32)
    return Crop(name, name, 4, 4, 3, 100, 600, boxes, np.zeros((3, 2, 3), np.float32), b"", b"")


def screened(name: str, offset: int | None, audio_start: int) -> dict[str, object]:
    figures = {"distance": None, "confidence": None} if offset is None else {"distance": 6.0, "confidence": 3.0}
    return {"id": name, "n_windows": 20, "offset": offset, **figures, "kept": offset != 9, "audio_start": audio_start}


def test_plots_tell_of_all_parts_and_have_bars_where_nothing_fell(tmp_path: Path) -> None:
    crops, screening, out = tmp_path / "crops", tmp_path / "screening", tmp_path / "plots"
    parts = {0: [("a", 70, 0, 4), ("b", 95, 3, 1)], 1: [("c", 130, 9, 4), ("d", 79, None, 4)]}
    for number, rows in parts.items():
        write_table(part_path(crops, number), [crop_to_row(crop(name, w)) for name, w, _, _ in rows], CROP_SCHEMA)
        found = [screened(name, offset, start) for name, _, offset, start in rows]
        write_table(part_path(screening, number), found, SCREENING_SCHEMA)
    sync = sync_figures(crops, screening)
    assert (sync.offsets, sync.n_repaired, len(sync.confidences)) == (Counter({0: 1, 3: 1, 9: 1}), 1, 3)
    assert list(face_widths(crops)) == [70, 95, 130, 79]  # the median of each, whatever one box may be
    write_plots(out, funnel([], [], sync), sync, face_widths(crops))
    assert (out / "face_sizes.csv").read_text() == ("width_px,clips\n64,2\n80,1\n96,0\n112,0\n128,1\n")
    offsets = dict(line.split(",") for line in (out / "offsets.csv").read_text().splitlines()[1:])
    assert [int(offset) for offset in offsets] == list(range(-15, 16))
    assert {offset for offset, clips in offsets.items() if clips != "0"} == {"0", "3", "9"}
    assert (out / "funnel.csv").read_text().splitlines()[:2] == ["step,clips", "listed,0"]


def test_plots_of_an_empty_corpus_are_empty(tmp_path: Path) -> None:
    write_plots(tmp_path, funnel([], [], NOTHING), NOTHING, [])
    assert (tmp_path / "face_sizes.csv").read_text() == "width_px,clips\n"


def test_the_keep_rate_and_the_hours_of_several_splits() -> None:
    kept = [
        IndexRow(f"k{n}", "k", "k", split, "s", "", 0, 0, 25 * 60, "x.tar", 0, 0, "")
        for n, split in enumerate(("val", "train", "train"))
    ]
    lost = [Rejected("b", "crop", Reason.NO_FACE, ""), Rejected("c", "index", Reason.NOT_LISTED, "")]
    sync = SyncFigures(Counter({1: 1, -1: 1, -2: 1}), [1.0, 2.00049, 3.0], 0)
    assert funnel(kept, lost, sync) == {
        "clips": 5, "kept": 3, "keep_rate": 0.75, "kept_by_split": {"train": 2, "val": 1}, "hours": 3 / 60,
        "rejected": {"no_face": 1, "not_listed": 1},
        "steps": {"listed": 4, "readable": 4, "face": 3, "quality": 3, "sync": 3, "packed": 3},
        "screening": {"measured": 3, "repaired": 0, "confidence": 2.0, "offset_within_1": 0.6667},
    }  # fmt: skip
    assert list(funnel(kept, lost, sync)["kept_by_split"]) == ["train", "val"]
    assert list(funnel(kept, lost[::-1], sync)["rejected"]) == ["no_face", "not_listed"]


def test_plots_are_written_anew_with_their_heads_and_unix_lines(tmp_path: Path) -> None:
    folder = tmp_path / "results/corpora"
    for n_clips in (7, 4):
        sync = SyncFigures(Counter({-15: n_clips}), [1.0], 0)
        write_plots(folder, {"steps": {"listed": n_clips}}, sync, [16.0, 15.9, 47.0])
    assert (folder / "funnel.csv").read_bytes() == b"step,clips\nlisted,4\n"
    assert (folder / "face_sizes.csv").read_bytes() == b"width_px,clips\n0,1\n16,1\n32,1\n"
    offsets = (folder / "offsets.csv").read_bytes()
    assert offsets.startswith(b"offset,clips\n-15,4\n-14,0\n")
    assert offsets.endswith(b"\n15,0\n")


def test_crops_of_one_offset_are_counted_together(tmp_path: Path) -> None:
    crops, screening = tmp_path / "crops", tmp_path / "screening"
    write_table(part_path(crops, 0), [crop_to_row(crop(name, 64)) for name in "abc"], CROP_SCHEMA)
    write_table(part_path(screening, 0), [screened(name, -2, 4) for name in "abc"], SCREENING_SCHEMA)
    found = sync_figures(crops, screening)
    assert (found.offsets, found.confidences, found.n_repaired) == (Counter({-2: 3}), [3.0] * 3, 0)
