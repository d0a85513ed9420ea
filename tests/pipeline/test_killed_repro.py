"""`dvc repro`, killed again and again wherever it happens to be, ends with the hashes of an uninterrupted run."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from checkout import Checkout, tiny_checkout

pytestmark = pytest.mark.slow

KILLS = 30
MOST_STAGES = 3
"""Stages that a run may finish at most before it is killed, so that the kills are spread over the graph."""
MOST_S = 6.0
"""And how long it may then go on: DVC's start and its end of a stage take seconds."""
TIMINGS = Path(".synctalk/timings.jsonl")


def results(checkout: Checkout) -> dict[str, str]:
    """Text of every lock file and result that git keeps: the locks name the hash of every output.

    What DVC takes from its run cache has no count of files in the lock.
    """
    locks = [checkout.root / "dvc.lock", checkout.root / "data/synthetic/dvc.lock"]
    names = [*locks, checkout.root / "metrics.json", *checkout.root.glob("results/**/*.*")]
    kept = {".json", ".csv", ".md", ".tex", ".lock"}
    texts = {str(name.relative_to(checkout.root)): name.read_text() for name in names if name.suffix in kept}
    return {name: re.sub(r" +nfiles: .*\n", "", text) for name, text in texts.items()}


def n_finished(checkout: Checkout) -> int:
    """Stages that have ended in this checkout, those that ran again too."""
    timings = checkout.root / TIMINGS
    return len(timings.read_text().splitlines()) if timings.is_file() else 0


def running_stage(processes: list[psutil.Process]) -> str:
    """What stands behind `-m pipeline.` in the first command that has it."""
    for process in processes:
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if " -m pipeline." in command:
                return command.split(" -m pipeline.")[1]
    return "DVC itself"


def kill(repro: subprocess.Popen[bytes], rng: random.Random) -> str:
    """Kill -9 DVC alone, all processes at once, or one of those below DVC; what was killed, and in which stage."""
    below = psutil.Process(repro.pid).children(recursive=True)
    stage = running_stage(below)
    manner = rng.choice(["DVC alone", "all", "one below"]) if below else "DVC alone"
    if manner == "one below":
        rng.choice(below).kill()  # a worker's loss is made good, a stage's ends the run
    elif manner == "all":
        os.killpg(repro.pid, signal.SIGKILL)
    else:
        repro.kill()
    return f"{manner}, {stage}"


def remove_broken(checkout: Checkout) -> list[str]:
    """Remove the records of DVC that `synctalk doctor` calls cut off; their names."""
    look = "from synctalk.doctor import check_locks; print(check_locks().found)"
    names, _, cut_off = checkout.run("python", "-c", look).partition(": cut off")
    names = names.split() if cut_off else []
    for name in names:
        (checkout.root / name).unlink()
    return names


def test_thirty_kills_change_no_hash(tmp_path: Path) -> None:
    undisturbed = tiny_checkout(tmp_path / "undisturbed")
    undisturbed.run("dvc", "repro")
    killed = tiny_checkout(tmp_path / "killed")
    rng = random.Random(7)
    kills: list[str] = []
    removed: list[str] = []
    with (tmp_path / "killed.log").open("wb") as log:
        done = False
        while not done and len(kills) < KILLS:
            before = len(kills)
            removed += remove_broken(killed)
            repro = subprocess.Popen(
                ["dvc", "repro"],
                cwd=killed.root,
                env=killed.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            while repro.poll() is None and len(kills) < KILLS:
                goal = n_finished(killed) + rng.randint(0, MOST_STAGES)
                while repro.poll() is None and n_finished(killed) < goal:
                    time.sleep(0.05)
                with suppress(subprocess.TimeoutExpired):
                    repro.wait(rng.uniform(0, MOST_S))
                    break
                kills.append(kill(repro, rng))
            done = repro.wait() == 0
            assert done or len(kills) > before, "a run that nobody killed failed: see killed.log"
    print("\n".join([*kills, *removed]))
    assert len(kills) == KILLS, "the machine is fast: lower MOST_STAGES"
    remove_broken(killed)
    killed.run("dvc", "repro")
    assert results(killed) == results(undisturbed)
    assert "up to date" in killed.run("dvc", "repro")
