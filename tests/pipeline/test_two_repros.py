"""Several `dvc repro` at once in one checkout: DVC's locks let one work on a stage, the others wait or refuse in words,
and what comes of it are the hashes of one that was alone.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import Checkout
from test_killed_repro import tiny_checkout

pytestmark = pytest.mark.slow

TARGET = "tokenizer"
"""With all that it needs: the synthetic corpora, and their indexes."""
APART_S = (0.0, 0.1, 3.0, 8.0)
"""When each run begins: two at the same time, others in the middle of the first ones' stages."""
LOCKS = ("dvc.lock", "data/synthetic/dvc.lock")
REFUSALS = ("is busy, it is being blocked by", "Unable to acquire lock", "is being run by another process")


def begin(checkout: Checkout, number: int) -> tuple[subprocess.Popen[bytes], Path]:
    log = checkout.root.with_name(f"{number}.log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["dvc", "repro", TARGET], cwd=checkout.root, env=checkout.environment, stdout=file, stderr=file
        )
    return process, log


def locks(checkout: Checkout) -> dict[str, Any]:
    """Every lock file, whose stages stand in the order in which they were done: the hash of every output."""
    return {name: yaml.load((checkout.root / name).read_text(encoding="utf-8"), yaml.CSafeLoader) for name in LOCKS}


def test_one_works_and_the_others_wait_or_refuse(tmp_path: Path) -> None:
    alone = tiny_checkout(tmp_path / "alone")
    alone.run("dvc", "repro", TARGET)
    shared = tiny_checkout(tmp_path / "shared")
    runs, begun = [], time.monotonic()
    for number, start_s in enumerate(APART_S):
        time.sleep(max(0.0, begun + start_s - time.monotonic()))
        runs.append(begin(shared, number))
    statuses = [process.wait(timeout=900) for process, _ in runs]
    texts = [log.read_text(encoding="utf-8") for _, log in runs]
    for status, text in zip(statuses, texts, strict=True):
        assert "Traceback" not in text, text
        assert status == 0 or any(refusal in text for refusal in REFUSALS), text
    for status, text in zip(statuses, texts, strict=True):
        print(f"exit status {status}: {text.splitlines()[-1]}")
    assert any(statuses), "all of them had their turn: they did not meet"
    shared.run("dvc", "repro", TARGET)
    assert locks(shared) == locks(alone)
    assert "up to date" in shared.run("dvc", "status", TARGET)
