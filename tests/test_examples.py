"""The examples of docs/extending.md: each patch applies to the project as it is, and what it adds works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from root import ROOT

from synctalk.media.write import write_video
from synctalk.timebase import SAMPLES_PER_FRAME

EXAMPLES = ("corpus", "method", "metric")


class Patched:
    """A copy of the project with one example in it."""

    def __init__(self, root: Path, example: str) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            if not name.startswith("results/") and (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        # without a repository of its own git would look for one around the temporary folder
        self.run("git", "init", "-q")
        self.run("git", "apply", f"docs/examples/{example}.patch")

    def run(self, *command: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(self.root)}
        done = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, env=environment, check=False, timeout=300
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, *arguments: str) -> str:
        return self.run(sys.executable, *arguments)

    def passes(self, *tests: str) -> bool:
        """Whether tests pass, those that come with the example among them; what failed is in the error."""
        return "[100%]" in self.python("-m", "pytest", *tests)


@pytest.fixture
def patched(tmp_path: Path, request: pytest.FixtureRequest) -> Patched:
    return Patched(tmp_path / "synctalk", request.param)


@pytest.mark.e2e
@pytest.mark.parametrize("patched", ["corpus"], indirect=True)
def test_the_corpus_is_indexed_by_its_stage(patched: Patched, tmp_path: Path) -> None:
    assert patched.passes("tests/corpora/test_crema_d.py")
    corpus = tmp_path / "CREMA-D"
    (corpus / "VideoFlash").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, n_frames in (("1080_ITS_HAP_XX", 30), ("1091_TSI_SAD_XX", 40)):
        made = corpus / "VideoFlash" / f"{name}.mp4"
        sound = rng.integers(-9999, 9999, n_frames * SAMPLES_PER_FRAME).astype(np.int16)
        write_video(made, rng.integers(0, 256, (n_frames, 64, 64, 3), np.uint8), audio=sound)
        made.rename(made.with_suffix(".flv"))
    params = yaml.load((patched.root / "params.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    params["corpora"]["lrs2"] |= {"layout": "crema_d", "root": str(corpus), "depends_on": str(corpus)}
    (patched.root / "params.yaml").write_text(yaml.dump(params, Dumper=yaml.CSafeDumper), encoding="utf-8")
    patched.python("-m", "pipeline.index", "lrs2", str(corpus), "data/index/lrs2")
    rows = pq.read_table(patched.root / "data/index/lrs2/clips.parquet").to_pylist()
    assert [(row["speaker"], row["split"], row["transcript"], row["n_frames"]) for row in rows] == [
        ("1080", "val", "i think i've seen this before", 30),
        ("1091", "test", "the surface is slick", 40),
    ]


@pytest.mark.e2e
@pytest.mark.parametrize("patched", ["method"], indirect=True)
def test_the_method_is_in_the_graph_and_learns(patched: Patched) -> None:
    assert patched.passes("tests/training/test_near_audio.py", "tests/pipeline/test_scale.py")
    stages = patched.python("-m", "dvc", "stage", "list", "--name-only").split()
    assert {f"{stage}@near_audio" for stage in ("train", "generate", "evaluate")} <= set(stages)


@pytest.mark.e2e
@pytest.mark.parametrize("patched", ["metric"], indirect=True)
def test_the_metric_is_right_and_breaks_nothing(patched: Patched) -> None:
    assert patched.passes(
        "tests/metrics/test_l1.py", "tests/evaluation/test_pictures.py", "tests/pipeline/test_dvc_graph.py"
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_applies(example: str) -> None:
    """In a second, what the tests of the whole pipeline would tell after minutes."""
    patch = ROOT / "docs" / "examples" / f"{example}.patch"
    told = subprocess.run(["git", "apply", "--check", patch], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_every_example_is_described() -> None:
    assert {path.stem for path in (ROOT / "docs" / "examples").iterdir()} == set(EXAMPLES)
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert all(f"(examples/{name}.patch)" in page for name in EXAMPLES)
