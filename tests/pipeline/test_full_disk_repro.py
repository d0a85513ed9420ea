"""Stages of a `dvc repro` on a disk that gets full: one line, nothing lost, and the same bytes once there is room."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from checkout import Checkout, tiny_checkout
from small_corpus import digests
from small_disk import LINE, enlarge, small_disk

pytestmark = pytest.mark.slow

OUTS = {
    "cluster@it1": "data/clusters/it1",
    "pretrain@it1": "models/pretrain/it1",
    "finetune@av_hubert": "models/finetune/av_hubert",
    "screener": "models/screener",
    "syncnet": "models/judges/syncnet",
    "observer@observer1": "models/judges/observer1",
    "conformer": "models/judges/conformer",
    "wav2lip_expert": "models/experts/wav2lip",
    "start": "models/generators/start",
    "train@base": "models/generators/base",
    "generate@base": "data/generated/base",
    "evaluate@base": "data/scores/base",
    "report": "report",
}
"""A stage of each kind that writes a folder and is not in test_full_disk.py -> the folder."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = tiny_checkout(tmp_path_factory.mktemp("full") / "synctalk")
    made.run("dvc", "repro")
    return made


def command_of(checkout: Checkout, stage: str) -> list[str]:
    """What DVC ran for a stage."""
    stages = yaml.load((checkout.root / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"]
    command: str = stages[stage]["cmd"]
    return command.split()


def run(checkout: Checkout, stage: str) -> subprocess.CompletedProcess[str]:
    command = command_of(checkout, stage)
    return subprocess.run(
        command, cwd=checkout.root, env=checkout.environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("stage", OUTS)
def test_a_stage_on_a_full_disk_ends_with_one_line_and_then_makes_the_same(finished: Checkout, stage: str) -> None:
    out = finished.root / OUTS[stage]
    wanted = digests(out)
    needed_kib = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) // 1024
    kept = out.rename(out.with_name(f"{out.name}.kept"))
    with small_disk(out, max(4, needed_kib // 2)):
        full = run(finished, stage)
        assert full.returncode == 1, full.stderr
        assert full.stderr.splitlines()[-1].startswith(LINE)
        assert "Traceback" not in full.stderr
        assert digests(out) != wanted
        enlarge(out, 4 * needed_kib + 1000)
        again = run(finished, stage)
        assert again.returncode == 0, again.stderr
        assert digests(out) == wanted
    out.rmdir()
    kept.rename(out)
