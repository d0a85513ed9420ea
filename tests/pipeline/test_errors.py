"""Stages with bad input: exit status 1 and one line that says what to mend, never a trace.

Two are run as DVC runs them, the others in this process, which spares each the seconds of Python's start.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline import stage as stages
from synctalk.corpora.records import Clip, read_clips, write_clips
from synctalk.errors import Reason
from synctalk.media import write_video
from synctalk.rejected import read_rejected

PROJECT = Path(__file__).parents[2]
CORPUS = "lrs2"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the project's params.yaml and a corpus folder of one good video."""
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    edit(tmp_path, lambda params: params["corpora"][CORPUS].update(layout="folder", detector="yunet"))
    noise = np.random.default_rng(0).integers(0, 256, (25, 64, 64, 3), dtype=np.uint8)
    sound = np.random.default_rng(1).integers(-9000, 9000, 16000, dtype=np.int16)
    (tmp_path / "raw").mkdir()
    write_video(tmp_path / "raw/good.mp4", iter(noise), audio=sound)
    return tmp_path


def edit(project: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = project / "params.yaml"
    params = yaml.load(path.read_text(), yaml.CSafeLoader)
    change(params)
    path.write_text(yaml.dump(params, Dumper=yaml.CSafeDumper))


Done = subprocess.CompletedProcess[str]


def run_by_itself(project: Path, stage: str, *arguments: str) -> Done:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "SYNCTALK_WORKERS": "1"}
    command = [sys.executable, "-m", f"pipeline.{stage}", CORPUS, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)


def run(project: Path, stage: str, *arguments: str) -> Done:
    command = [stage, CORPUS, *arguments]
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as errors,
    ):
        patch.chdir(project)
        patch.setenv("SYNCTALK_WORKERS", "1")
        patch.setattr(sys, "argv", command)
        patch.setattr(stages, "die_with_parent", lambda: None)
        status = 0
        try:
            stages.run(importlib.import_module(f"pipeline.{stage}").main)
        except SystemExit as end:  # as Python ends on it
            status = 1
            print(end.code, file=sys.stderr)
    return subprocess.CompletedProcess(command, status, out.getvalue(), errors.getvalue())


def error_of(project: Path, stage: str, *arguments: str, runner: Callable[..., Done] = run) -> str:
    """The one line that a failing stage prints."""
    done = runner(project, stage, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def index_of(project: Path, *videos: str) -> None:
    """An index as the stage before would have made it."""
    clips = [Clip(id=Path(v).stem, speaker="", split="test", video=v, audio=v, transcript="") for v in videos]
    write_clips(project / "index/clips.parquet", clips)


def test_a_missing_corpus(project: Path) -> None:
    line = error_of(project, "index", "nowhere", "out", runner=run_by_itself)
    assert line == "error: nowhere: is not there; set corpora.<name>.root in params.yaml to the folder of the corpus"
    assert not (project / "out").exists()


def test_a_corpus_that_went_away_after_it_was_indexed(project: Path, shared: Path) -> None:
    weights = str(shared / "models/face_detection_yunet_2023mar.onnx")
    edit(project, lambda params: params["crop"]["detectors"]["yunet"].update(weights=weights))
    index_of(project, "gone.mp4")
    assert "raw/gone.mp4: cannot be read" in error_of(project, "crop", "raw", "index", "out")


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ("nowhere.onnx", "error: nowhere.onnx: the weights of yunet are not there; bring face_detection_yunet"),
        ("", "error: crop.detectors.yunet.weights: is empty; set it to the path of face_detection_yunet"),
        ("params.yaml", "error: params.yaml: is no YuNet model; bring face_detection_yunet"),
    ],
)
def test_missing_and_wrong_detector_weights(project: Path, weights: str, says: str) -> None:
    edit(project, lambda params: params["crop"]["detectors"]["yunet"].update(weights=weights))
    index_of(project, "good.mp4")
    assert error_of(project, "crop", "raw", "index", "out").startswith(says)
    assert not (project / "out").exists()


def test_an_unknown_and_a_missing_key(project: Path) -> None:
    edit(project, lambda params: params["crop"]["quality"].update(min_second=1.0))
    index_of(project, "good.mp4")
    line = error_of(project, "crop", "raw", "index", "out")
    assert line == "error: params.yaml: crop.quality.min_second is an unknown key; mend the key"
    edit(project, lambda params: params["corpora"].pop(CORPUS))
    assert error_of(project, "index", "raw", "out").startswith("error: params.yaml: corpora.lrs2 is missing")


def test_a_corrupt_video_is_a_row_and_no_crash(project: Path) -> None:
    edit(project, lambda params: params["index"].update(min_keep_rate=0.25))
    (project / "raw/junk.mp4").write_bytes(b"\0\1\2\3" * 5000)
    (project / "raw/empty.mkv").touch()
    whole = (project / "raw/good.mp4").read_bytes()
    (project / "raw/cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index stands in front and is whole
    done = run(project, "index", "raw", "out")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert [clip.id for clip in read_clips(project / "out/clips.parquet")] == ["good"]
    dropped = {row.id: row.reason for row in read_rejected(project / "out/rejected.parquet")}
    assert dropped == {"cut": Reason.TRUNCATED, "junk": Reason.UNDECODABLE, "empty": Reason.EMPTY_FILE}


def test_a_corpus_of_which_nothing_is_kept_says_why(project: Path, shared: Path) -> None:
    weights = str(shared / "models/face_detection_yunet_2023mar.onnx")
    edit(project, lambda params: params["crop"]["detectors"]["yunet"].update(weights=weights))
    index_of(project, "good.mp4")
    done = run(project, "crop", "raw", "index", "out")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    line = done.stderr.splitlines()[-1]
    assert line == (
        "error: corpus lrs2: only 0% of 1 samples were kept, at least 50% are needed; 1 were dropped for no_face; look "
        "at out/rejected.parquet, or lower crop.min_keep_rate"
    )
    assert [row.reason for row in read_rejected(project / "out/rejected.parquet")] == [Reason.NO_FACE]


def test_a_corpus_that_can_hardly_be_read_says_why(project: Path) -> None:
    for name in ("a", "b", "c"):
        (project / f"raw/{name}.mp4").write_bytes(b"\0\1\2\3" * 5000)
    (project / "raw/d.mp4").touch()
    done = run(project, "index", "raw", "out")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert done.stderr.splitlines()[-1] == (
        "error: corpus lrs2: only 20% of 5 samples were kept, at least 50% are needed; 3 were dropped for undecodable; "
        "look at out/rejected.parquet, or lower index.min_keep_rate"
    )
    assert len(read_rejected(project / "out/rejected.parquet")) == 4


def test_a_command_line_without_its_arguments_is_one_line(project: Path) -> None:
    assert "Missing argument" in error_of(project, "crop", runner=run_by_itself)
