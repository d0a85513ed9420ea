"""The stages from index to shards in a process that is killed again and again.

    python interrupted.py FOLDER SEED

Prints how often each stage was killed. FOLDER holds the corpus `raw` and params.yaml; the outcome goes to FOLDER/SEED.
As under DVC, what a killed stage left in its outputs is removed before it is begun again, and finished stages are not.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import pandas  # noqa: F401  # the stages do it late: else a life would begin with it, and most kills fall there
from small_corpus import stages

from synctalk.runtime import scratch
from synctalk.runtime.workers import die_with_parent

MAX_LIFE_S = 0.5
MORE_LIFE = 1.1
"""Factor of the longest life from kill to kill, so that a slow machine comes to an end."""


def run_stages(root: Path, out: Path, journal: Path) -> None:
    """What DVC does: every stage that is not done, in order."""
    for name, stage in stages(root, out).items():
        if (journal / name).exists():
            continue
        (journal / "now").write_text(name)
        shutil.rmtree(out / name, ignore_errors=True)
        stage()
        (journal / name).touch()


def main(folder: Path, seed: int) -> None:
    """Kill and begin again until all is done."""
    os.chdir(folder)
    out, journal = Path(str(seed)), Path(f"{seed}.journal")
    journal.mkdir()
    scratch.STATE_DIR = Path(f"{seed}.state")
    rng, longest = random.Random(seed), MAX_LIFE_S
    kills: Counter[str] = Counter()
    while True:
        process = os.fork()
        if not process:
            die_with_parent()
            try:
                run_stages(Path("raw"), out, journal)
            except BaseException:  # noqa: BLE001  # a forked process must not go on as its parent
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        end = time.monotonic() + rng.uniform(0, longest)
        while (ended := os.waitpid(process, os.WNOHANG)) == (0, 0) and (seed == 0 or time.monotonic() < end):
            time.sleep(0.002)
        if ended == (0, 0):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            longest *= MORE_LIFE
            kills[(journal / "now").read_text() if (journal / "now").exists() else "start"] += 1
        elif ended[1]:
            sys.exit("a stage failed")
        else:
            break
    left = [path.name for path in scratch.STATE_DIR.rglob("*") if path.is_dir() and path.name != "scratch"]
    print(json.dumps({"kills": kills, "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
