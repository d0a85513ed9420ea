"""The wheel: what is in it, and that the program works where there is no checkout."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from root import ROOT

from synctalk.media import write_video

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = [path for folder in ("synctalk", "pipeline") for path in sorted((ROOT / folder).rglob("*.py"))]
PYTHONS = sorted(c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if c.startswith("Programming Language"))


def test_metadata_names_pythons_and_extras() -> None:
    assert PYTHONS == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert {"gpu", "ray", "s3", "study"} <= set(PROJECT["optional-dependencies"])


def test_sources_parse_as_the_oldest_python() -> None:
    oldest = (3, int(PYTHONS[0].split(".")[1]))
    for path in SOURCES:
        assert isinstance(ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=oldest), ast.Module)


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_sources_compile_on_every_python(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"python{version} is not here")
    script = "import pathlib, sys\nfor p in sys.argv[1:]: compile(pathlib.Path(p).read_bytes(), p, 'exec')"
    command = [python, "-W", "error", "-c", script, *map(str, SOURCES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git tracks, by the installed build backend."""
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files", "synctalk"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in [*tracked.stdout.split(), "pyproject.toml", "README.md", "LICENSE"]:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(source / "dist"), str(source)], check=True, capture_output=True)
    (built,) = (source / "dist").glob("synctalk-*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`synctalk` of a new environment that has the wheel, and the installed dependencies without this checkout."""
    new = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(new)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(new / "bin/python"), "install", "--quiet", "--no-index"]
    # a PYTHONPATH that names the checkout would make pip believe it is installed
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True, env=without_pythons_own())
    (packages,) = (new / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its .pth files are not read
    return new / "bin" / "synctalk"


def without_pythons_own() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(program: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [program, *words]
    return subprocess.run(command, cwd=folder, env=without_pythons_own(), capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_wheel_holds_every_tracked_file_of_the_package(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "synctalk"], cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in tracked.stdout.split() if (ROOT / name).is_file()}


@pytest.mark.slow
def test_the_installed_program_is_the_one_of_the_wheel(program: Path, tmp_path: Path) -> None:
    script = "import synctalk; print(synctalk.__file__)"
    done = run(program.parent / "python", tmp_path, "-c", script)
    assert Path(done.stdout.strip()).is_relative_to(program.parents[1])
    assert run(program, tmp_path, "--version").stdout.strip() == PROJECT["version"]
    assert "Exit status" in run(program, tmp_path, "--help").stdout


@pytest.mark.slow
def test_doctor_runs_outside_a_checkout(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "doctor", "--json")
    findings = {row["name"]: row for row in json.loads(done.stdout)}
    assert findings["decoders"]["state"] == "ok"
    assert done.returncode == int(any(row["state"] == "fail" for row in findings.values()))
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_videos_are_scored_outside_a_checkout(program: Path, tmp_path: Path) -> None:
    """Pictures alone need no weights: a copy has no difference, and the page is written from the packed templates."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)
    for folder in ("made", "real"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "clip.mp4", iter(noise))
    done = run(program, tmp_path, "score", "made", "--reference", "real", "--no-lse", "-o", "scores", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    page = (tmp_path / "scores/report.html").read_text(encoding="utf-8")
    assert "<script" in page


@pytest.mark.slow
def test_dubbing_without_weights_is_one_line(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "dub", "a.mp4", "b.wav", "-o", "c.mp4", "--weights", "none.onnx")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("error: none.onnx: ")
    assert "Traceback" not in done.stderr
