"""A clone of the working tree in which tests run commands as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from root import ROOT


class Checkout:
    """A clone of the working tree, uncommitted changes included."""

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            # what the last run left in git is not what is tested; the study's answers are no stage's
            made = name.startswith("results/") and not name.startswith("results/study/")
            if name == "metrics.json" or made or name.endswith("dvc.lock"):
                continue
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        self.run("git", "init", "-q")
        self.run("git", "config", "user.name", "test")
        self.run("git", "config", "user.email", "test@localhost")
        self.commit("begin")

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, with the tests' Python and the checkout's own modules."""
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "PYTHONPATH": str(self.root),
        }

    def run(self, *command: str) -> str:
        """Run a command in the checkout and return what it printed; an error shows all of it."""
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=self.environment, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def fails(self, *command: str) -> str:
        """Run a command that does not end well, and return what it printed."""
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=self.environment, check=False)
        assert done.returncode != 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)

    def json(self, name: str) -> dict[str, dict[str, float]]:
        return json.loads((self.root / name).read_text())


def tiny_checkout(root: Path) -> Checkout:
    """A clone at the scale that runs in minutes."""
    made = Checkout(root)
    made.run("python", "-m", "pipeline.scale", "tiny")
    made.commit("tiny")
    return made
