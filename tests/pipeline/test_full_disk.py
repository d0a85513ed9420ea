"""A disk that is full is one line, leaves nothing that looks finished, and costs what was finished nothing."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from shards.test_round_trip import sample
from small_corpus import CORPUS, digests, make_corpus, stages, write_params
from small_disk import LINE, enlarge, small_disk
from torch import nn

from synctalk.atomic import publish, write_json
from synctalk.checkpoints.safetensors_file import write_safetensors
from synctalk.corpora.spill import Spill
from synctalk.errors import no_room
from synctalk.media import write_audio, write_mpeg, write_video
from synctalk.parquet import write_table
from synctalk.rejected import REJECTED_SCHEMA
from synctalk.shards.write import write_shards
from synctalk.training.loop import TrainState

PROJECT = Path(__file__).parents[2]
ROOM_KIB = 200


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", ROOM_KIB) as folder:
        yield folder


def noise(n_frames: int) -> Iterator[np.ndarray]:
    return iter(np.random.default_rng(0).integers(0, 256, (n_frames, 128, 128, 3), dtype=np.uint8))


def spill(path: Path) -> None:
    with Spill(path) as rows:
        for number in range(2000):
            rows.add(str(number), {"a": "x" * 500})


def table(path: Path) -> None:
    text = random.Random(0)
    rows = ({"id": text.randbytes(500).hex(), "stage": "", "reason": "", "detail": ""} for _ in range(2000))
    write_table(path, rows, REJECTED_SCHEMA)


def copied(path: Path) -> None:
    source = path.parent.with_name("source")
    source.write_bytes(bytes(1000 * ROOM_KIB * 2))
    publish(source, path)  # to another disk, which cannot be a link


WRITERS: dict[str, Callable[[Path], object]] = {
    "video.mp4": lambda path: write_video(path, noise(50)),
    "video.mpg": lambda path: write_mpeg(path, noise(50), np.zeros(32_000, np.int16)),
    "sound.wav": lambda path: write_audio(path, np.zeros(300_000, np.int16)),
    "weights.safetensors": lambda path: write_safetensors(path, {"a": torch.randn(200_000)}, {}),
    "state.pt": lambda path: TrainState({"m": nn.Linear(300, 300)}, {}).save(path),
    "table.parquet": table,
    "figures.json": lambda path: write_json(path, ["x" * 300_000]),
    "copy": copied,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_written_whole_or_not_at_all(disk: Path, name: str) -> None:
    (disk / name).write_bytes(b"what was there")
    with pytest.raises(Exception) as error:  # noqa: PT011  # each library's own
        WRITERS[name](disk / name)
    assert str(no_room(error.value)).startswith("disk: there is no room left")
    assert [path.name for path in disk.iterdir()] == [name]
    assert (disk / name).read_bytes() == b"what was there"


def test_shards_have_no_index_before_they_are_whole(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left") as error:
        write_shards(disk / "shards", (sample(number, n_frames=60) for number in range(8)), max_bytes=50_000)
    assert no_room(error.value) is not None
    assert not (disk / "shards/index.parquet").exists()


def test_the_table_that_sorts_says_it_too(disk: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as error:
        spill(disk / "rows.sqlite")
    assert no_room(error.value) is not None


def test_other_errors_are_not_taken_for_a_full_disk() -> None:
    assert no_room(OSError(errno.EACCES, "Permission denied")) is None
    assert no_room(sqlite3.OperationalError("no such table: rows")) is None
    assert no_room(None) is None
    full = RuntimeError("outer")
    full.__cause__ = OSError(errno.EDQUOT, "Quota exceeded", "there.bin")
    line = "disk: there is no room left for there.bin; what is finished is kept: free some space and run it again"
    assert str(no_room(full)) == line


# stages, as DVC runs them

RAISES = """
import errno
from pipeline.stage import run

def main() -> None:
    "Any stage."
    try:
        raise OSError(errno.ENOSPC, "No space left on device", "models/x.safetensors")
    except OSError as error:
        raise RuntimeError("file write failed") from error

run(main)
"""


def test_any_stage_says_it_in_one_line() -> None:
    """Whatever library has met the full disk, and whatever it has made of it."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", RAISES], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{LINE} for models/x.safetensors; what is finished is kept")


ARGUMENTS = {
    "index": ("raw", "index"),
    "crop": ("raw", "index", "crop"),
    "screen": ("raw", "index", "crop", "screener", "screen"),
    "features": ("raw", "index", "crop", "screen", "features"),
    "shard": ("index", "crop", "screen", "features", "shard", "shard/metrics.json", "shard/plots"),
}
"""Name -> its folders, its own after those of the stages before it."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, its params, and in `done` what the stages make of it."""
    folder = tmp_path_factory.mktemp("full")
    make_corpus(folder / "raw", 10)
    write_params(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for stage in stages(Path("raw"), Path("done")).values():
            stage()
    finally:
        os.chdir(before)
    return folder


def run(project: Path, stage: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "SYNCTALK_WORKERS": "2"}
    command = [sys.executable, "-m", f"pipeline.{stage}", CORPUS, *ARGUMENTS[stage]]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ARGUMENTS)
def test_a_stage_on_a_full_disk_ends_with_one_line_and_then_goes_on(finished: Path, tmp_path: Path, stage: str) -> None:
    needed_kib = sum(file.stat().st_size for file in (finished / "done" / stage).rglob("*") if file.is_file()) // 1024
    with small_disk(tmp_path / "disk", max(16, needed_kib // 2)) as project:
        for name in ("raw", "screener", "params.yaml"):
            (project / name).symlink_to(finished / name)
        for name in ARGUMENTS:
            if name == stage:
                break
            (project / name).symlink_to(finished / "done" / name)
        full = run(project, stage)
        last = full.stderr.splitlines()[-1]
        assert (full.returncode, full.stdout) == (1, "")
        assert last.startswith(LINE)
        assert "Traceback" not in full.stderr
        assert not any((project / stage / name).exists() for name in ("clips.parquet", "index.parquet"))
        enlarge(project, 50_000)
        again = run(project, stage)
        assert again.returncode == 0, again.stderr
        made, wanted = digests(project / stage), digests(finished / "done" / stage)
        assert made == wanted
