"""A corpus in parts: clips that hang or crash cost themselves only; the bytes do not depend on how the work was run."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from synctalk.errors import ClipError, Reason, UserError
from synctalk.parquet import read_table
from synctalk.rejected import Rejected, read_rejected
from synctalk.runtime.parts import (
    PartStage,
    Row,
    Tally,
    clip_limit_s,
    make_parts,
    n_parts_in,
    part_path,
    require_keep_rate,
    run_parts,
)

SCHEMA = pa.schema([("id", pa.string()), ("length", pa.int64())])
N_PARTS, SIZE = 3, 4


@dataclass(frozen=True)
class Item:
    id: str


def load(number: int) -> list[Item]:
    return [Item(f"{number}/{index}") for index in range(SIZE)]


def note(folder: Path, item: Item) -> int:
    """Write down that work on the item began, in which process; how often that was."""
    with (folder / item.id.replace("/", "-")).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len((folder / item.id.replace("/", "-")).read_text().split())


def decode(item: Item, folder: Path) -> list[Row | Rejected]:
    """A decoder with one clip of every kind of trouble."""
    times = note(folder, item)
    if item.id == "0/1":
        time.sleep(3600)
    if item.id == "1/0":
        os.kill(os.getpid(), signal.SIGKILL)
    if item.id == "1/3":
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    if item.id == "2/1" and times == 1:  # killed by somebody else, once
        os.kill(os.getpid(), signal.SIGKILL)
    if item.id == "2/2":
        raise ClipError(Reason.NO_FACE, "0 of 9 frames")
    if item.id == "2/3":
        return [{"id": "2/3/face0", "length": 1}, Rejected("2/3/face1", "test", Reason.FROZEN_FACE, "0.1")]
    return [{"id": item.id, "length": len(item.id)}]


def stage(folder: Path) -> PartStage[Item]:
    folder.mkdir(parents=True, exist_ok=True)
    return PartStage("test", load, partial(decode, folder=folder), SCHEMA)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synctalk.runtime.scratch.STATE_DIR", tmp_path / "state")
    monkeypatch.setenv("SYNCTALK_CLIP_LIMIT_S", "1")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_hung_and_crashed_clips_are_rejected_and_the_rest_keeps_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for workers in ("1", "2"):
        monkeypatch.setenv("SYNCTALK_WORKERS", workers)
        calls, out = tmp_path / f"calls-{workers}", tmp_path / f"out-{workers}"
        run_parts("test corpus", ["key"], stage(calls), N_PARTS, out)
        begun = {path.name: len(path.read_text().split()) for path in calls.iterdir()}
        twice = {"0-1", "1-0", "1-3", "2-1"}
        assert begun == {f"{a}-{b}": 1 + (f"{a}-{b}" in twice) for a in range(N_PARTS) for b in range(SIZE)}
        made.append(bytes_of(out))
        pids = {pid for path in calls.iterdir() for pid in path.read_text().split()}
        assert [pid for pid in pids if Path("/proc", pid).exists()] == []
    assert made[0] == made[1]
    assert {row.id: (row.reason, row.detail) for row in read_rejected(tmp_path / "out-1/rejected.parquet")} == {
        "0/1": (Reason.TIMED_OUT, "took longer than 1 s, 2 times"),
        "1/0": (Reason.CRASHED, "its process died of SIGKILL, 2 times"),
        "1/3": (Reason.CRASHED, "its process died of SIGSEGV, 2 times"),
        "2/2": (Reason.NO_FACE, "0 of 9 frames"),
        "2/3/face1": (Reason.FROZEN_FACE, "0.1"),
    }
    parts = [read_table(part_path(tmp_path / "out-1", number), SCHEMA) for number in range(N_PARTS)]
    assert [[row["id"] for row in part] for part in parts] == [
        ["0/0", "0/2", "0/3"],
        ["1/1", "1/2"],
        ["2/0", "2/1", "2/3/face0"],
    ]


def healthy(item: Item) -> list[Row | Rejected]:
    return [{"id": item.id, "length": 0}]


def test_the_tally_counts_rows_and_reasons_and_may_stop_the_stage(tmp_path: Path) -> None:
    seen: list[Tally] = []

    def refuse(tally: Tally) -> None:
        seen.append(tally)
        raise UserError("corpus", "is too bad")

    with pytest.raises(UserError, match="too bad"):
        run_parts("test corpus", [], PartStage("test", load, healthy, SCHEMA), 2, tmp_path / "out", refuse)
    assert seen == [Tally(2 * SIZE, Counter())]
    # the reasons are there for whoever is told to look at them, the parts are not
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejected.parquet"]
    assert Tally(3, Counter({Reason.NO_FACE: 1})).keep_rate == 0.75


def test_too_little_that_is_left_is_one_line_with_the_commonest_reason(tmp_path: Path) -> None:
    dropped = Counter({Reason.NOT_LISTED: 90, Reason.NO_AUDIO: 2, Reason.FACE_LOST: 4})
    require_keep_rate(Tally(4, dropped), 0.4, "lrs2", "crop", tmp_path)  # what the lists leave out was never asked for
    require_keep_rate(Tally(0, Counter()), 1.0, "lrs2", "crop", tmp_path)
    with pytest.raises(UserError) as error:
        require_keep_rate(Tally(4, dropped), 0.41, "lrs2", "crop", Path("out"))
    assert str(error.value) == (
        "corpus lrs2: only 40% of 10 samples were kept, at least 41% are needed; 4 were dropped for face_lost; "
        "look at out/rejected.parquet, or lower crop.min_keep_rate"
    )
    assert dropped[Reason.NOT_LISTED] == 90


def broken(item: Item) -> list[Row | Rejected]:
    if item.id == "1/2":
        raise ZeroDivisionError(item.id)
    return healthy(item)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_mistake_of_ours_stops_the_stage_with_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", workers)
    with pytest.raises(ZeroDivisionError, match="1/2") as error:
        make_parts("test", PartStage("test", load, broken, SCHEMA), N_PARTS, tmp_path)
    assert any("in broken" in note for note in error.value.__notes__)
    assert part_path(tmp_path, 0).is_file()
    assert not part_path(tmp_path, 1).is_file()


def test_a_folder_that_lacks_a_part_is_noticed(tmp_path: Path) -> None:
    make_parts("test", PartStage("test", load, healthy, SCHEMA), 3, tmp_path)
    for path in tmp_path.glob("*.rejected.parquet"):
        path.unlink()
    assert n_parts_in(tmp_path) == 3
    part_path(tmp_path, 1).unlink()
    with pytest.raises(UserError, match="lacks some of its parts; run `dvc repro`"):
        n_parts_in(tmp_path)


@pytest.mark.parametrize("text", ["0", "-3", "soon", "inf", "nan", ""])
def test_a_limit_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SYNCTALK_CLIP_LIMIT_S", text)
    with pytest.raises(UserError, match=r"SYNCTALK_CLIP_LIMIT_S: is .*; set it to a number of seconds"):
        clip_limit_s()
