"""`synctalk doctor` finds what is planted, and nothing in a sound installation."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synctalk import doctor
from synctalk.cli.app import app
from synctalk.doctor import State

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, under git and DVC."""
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    for command in (
        ["git", "init", "-q"],
        ["git", "config", "user.email", "a@b.c"],
        ["git", "config", "user.name", "a"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "first"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def states(findings: list[doctor.Finding]) -> dict[str, State]:
    return {finding.name: finding.state for finding in findings}


def test_a_sound_project_has_no_failure(project: Path) -> None:
    found = states(doctor.examine())
    assert {"python", "torch", "decoders", "opencv", "git", "params", "dvc cache", "disk"} <= found.keys()
    assert State.FAIL not in found.values()
    assert found["git"] is State.OK
    assert found["detector yunet"] is State.NOTE  # no corpus of the demo needs it


def test_a_changed_tree_is_noted(project: Path) -> None:
    (project / "new.txt").write_text("x")
    assert doctor.check_git().state is State.NOTE
    assert "1 changed" in doctor.check_git().found


def test_weights_that_params_name_and_that_are_not_there_are_a_failure(project: Path) -> None:
    text = PARAMS.read_text().replace("detector: tracks", "detector: yunet", 1)
    Path("params.yaml").write_text(text)
    (yunet,) = [finding for finding in doctor.check_detectors() if finding.name == "detector yunet"]
    assert yunet.state is State.FAIL
    assert "is empty" in yunet.found


def test_a_wrong_key_is_a_finding_and_no_trace(project: Path) -> None:
    Path("params.yaml").write_text(PARAMS.read_text().replace("face_size:", "face_sice:", 1))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert rows["params"]["state"] == "fail"
    assert "crop.face_size is missing" in rows["params"]["found"]


def test_a_second_cv2_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"cv2": ["opencv-python", "opencv-python-headless"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: owners)
    found = doctor.check_cv2()
    assert found.state is State.FAIL
    assert found.mend.startswith("pip uninstall opencv-python opencv-python-headless")


def test_onnxruntime_for_cpu_and_gpu_beside_each_other_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_onnxruntime().state is State.OK
    owners = {"onnxruntime": ["onnxruntime-gpu", "onnxruntime", "onnxruntime"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: owners)
    found = doctor.check_onnxruntime()
    assert found.state is State.FAIL
    assert "of onnxruntime, onnxruntime-gpu; runs on" in found.found
    assert found.mend == "pip uninstall onnxruntime onnxruntime-gpu, then pip install onnxruntime-gpu alone"


def test_decoders_that_lose_frames_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import synctalk.media
    from synctalk.media import read_video

    def half(path: Path):
        return read_video(path, span=slice(0, 12))

    monkeypatch.setattr(synctalk.media, "read_video", half)
    assert doctor.check_decoders().state is State.FAIL


def test_outside_a_repository_git_is_a_failure_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = states(doctor.examine())
    assert found["git"] is State.FAIL
    assert found["decoders"] is State.OK
    assert found["project"] is State.NOTE
    assert "params" not in found


def test_links_are_tried_where_they_would_be_made(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    works = doctor.link_types(tmp_path / "cache", tmp_path / "workspace")
    assert {"hardlink", "symlink"} <= set(works)
    assert list((tmp_path / "workspace").iterdir()) == []
