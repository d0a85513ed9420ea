"""What DVC takes to say that a finished corpus is up to date: `python benchmarks/dvc_status.py [CLIPS] [--tree]`.

A project with this one's dvc.yaml, params.yaml and code, whose outs stand in their real layout with content of a few
bytes: the role lrs2 has CLIPS clips in as many parts and tars as params.yaml makes of them, and two files each in its
root, which is watched by a manifest, or by itself with --tree. Everything is committed; then `dvc status` and a `dvc
repro` that has nothing to do are timed. "cold" begins without DVC's memory of file hashes, as after a fresh checkout:
with real content it would read every byte once.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml

from synctalk.corpora.manifest import take_manifest

ROOT = Path(__file__).parents[1]
COPIED = (
    "pipeline", "synctalk", "data/synthetic/dvc.yaml", "dvc.yaml", "params.yaml", ".dvcignore",
    "results/study/summary.json",
)  # fmt: skip
"""Code, and what no stage makes."""
ROLE = "lrs2"
CLIP_BYTES = 300_000
"""Of a sample with faces in a shard, to know how many tars a corpus fills."""


class Project:
    """A DVC project in a folder of its own, with a memory of hashes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.memory = folder / "project", folder / "memory"
        for name in COPIED:
            source, target = ROOT / name, self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    def run(self, *command: str) -> tuple[str, float, float]:
        """Standard output of a command, its seconds on the clock and on the cores."""
        environment = os.environ | {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.memory),
            "GIT_AUTHOR_NAME": "benchmark",
            "GIT_AUTHOR_EMAIL": "benchmark@localhost",
            "GIT_COMMITTER_NAME": "benchmark",
            "GIT_COMMITTER_EMAIL": "benchmark@localhost",
        }
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-2000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cores = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return done.stdout, time.monotonic() - started, cores

    def time(self, label: str, *command: str) -> None:
        """Print what a command takes that must find nothing to do."""
        out, wall, cores = self.run(*command)
        if not out.strip().endswith("Data and pipelines are up to date."):
            raise RuntimeError(f"{' '.join(command)} found work: {out[-500:]}")
        print(f"{label:<24}{wall:8.1f} s{cores:8.1f} core-seconds")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_root(root: Path, n_clips: int) -> None:
    """A video and a transcript for each clip, forty clips a folder."""
    for number in range(n_clips):
        for suffix in (".mp4", ".txt"):
            write(root / f"main/{number // 40:06d}/{number % 40:05d}{suffix}", f"{number}{suffix}")


def write_corpus(data: Path, role: str, n_clips: int, *, clips_per_part: int, shard_bytes: int) -> None:
    """Index, crops, screening, features and shards of a corpus."""
    parts = [f"part-{number:05d}.parquet" for number in range(-(-n_clips // clips_per_part))]
    tars = [f"train-{number:05d}.tar" for number in range(-(-n_clips * CLIP_BYTES // shard_bytes))]
    for stage, names in (
        ("index", ["clips.parquet", "rejected.parquet"]),
        ("crops", [*parts, "rejected.parquet"]),
        ("screening", [*parts, "rejected.parquet"]),
        ("features", [*parts, "rejected.parquet"]),
        ("shards", [*tars, "index.parquet"]),
    ):
        for name in names:
            write(data / stage / role / name, f"{stage}/{role}/{name}")


def write_other_outs(project: Path) -> None:
    """One small file for every out that is not there yet."""
    from dvc.repo import Repo

    with Repo(str(project)) as repo:
        outs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
    for path in outs:
        if not path.exists():
            write(path if path.suffix else path / "model.safetensors", str(path))


def main(
    clips: Annotated[int, typer.Argument(help="Of the role lrs2.")] = 100_000,
    tree: Annotated[bool, typer.Option(help="Watch the root itself instead of a manifest.")] = False,
    clips_per_part: Annotated[int, typer.Option(help="In place of params.yaml's `crop.clips_per_part`.")] = 0,
) -> None:
    """Time DVC on a finished corpus."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = Project(folder)
        params = yaml.safe_load((project.folder / "params.yaml").read_text(encoding="utf-8"))
        size = clips_per_part or params["crop"]["clips_per_part"]
        for role, corpus in params["corpora"].items():
            n_clips, root = clips if role == ROLE else 50, folder / "raw" / role
            write_root(root, n_clips)
            corpus |= {"root": str(root), "watch": str(root)}
            if role == ROLE and not tree:
                corpus["watch"] = str(folder / "raw" / f"{role}.jsonl")
                started = time.monotonic()
                write(Path(corpus["watch"]), take_manifest(root))
                print(f"{'manifest':<24}{time.monotonic() - started:8.1f} s for {2 * clips:,} files")
            write_corpus(
                project.folder / "data",
                role,
                n_clips,
                clips_per_part=size,
                shard_bytes=params["shards"]["max_bytes"],
            )
        write(project.folder / "params.yaml", yaml.safe_dump(params, sort_keys=False))
        project.run("git", "init", "-q")
        project.run("dvc", "init", "-q")
        write_other_outs(project.folder)
        _, wall, cores = project.run("dvc", "commit", "-f")
        print(f"{'commit, hashing all':<24}{wall:8.1f} s{cores:8.1f} core-seconds")
        project.run("git", "add", "-A")
        project.run("git", "commit", "-qm", "finished")
        n_files = sum(len(files) for _, _, files in os.walk(project.folder / "data"))
        watched = "itself" if tree else "a manifest"
        print(f"{clips:,} clips, {size} a part: {n_files:,} files in data/, the root watched by {watched}")
        project.time("status, warm", "dvc", "status")
        project.time("status, warm", "dvc", "status")
        project.time("repro, warm", "dvc", "repro")
        shutil.rmtree(project.memory)
        project.time("status, cold", "dvc", "status")
        shutil.rmtree(project.memory)
        project.time("repro, cold", "dvc", "repro")


if __name__ == "__main__":
    typer.run(main)
