"""Memory of the data stages over the size of a corpus: `python benchmarks/memory.py [CLIPS ...]`.

A corpus of LRS2's layout whose clips are all one small video, linked under as many ids; then index, crop, screen (by a
net that was never trained), features and shard, each in a process of its own with SYNCTALK_WORKERS workers. Prints the
highest resident set of the stage's own process and of the largest process under it (workers, and the decoders that they
guard), as the kernel kept them, in MiB, pages shared with others included; and seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml

from synctalk.checkpoints import save
from synctalk.media import write_video
from synctalk.models.syncnet import SyncNet
from synctalk.params.read import load
from synctalk.screening.params import ScreenerParams
from synctalk.timebase import FPS, SAMPLE_RATE

ROOT = Path(__file__).parents[1]
ROLE = "lrs2"
SIDE, N_FRAMES = 80, 20
STAGES = {
    "index": ("raw", "index"),
    "crop": ("raw", "index", "crops"),
    "screen": ("raw", "index", "crops", "net", "screening"),
    "features": ("raw", "index", "crops", "screening", "features"),
    "shard": ("index", "crops", "screening", "features", "shards", "metrics.json", "plots"),
}
"""Name -> its folders, in the order of the stage's arguments."""
RUN_STAGE = """
import importlib, json, resource, sys
from pathlib import Path
name, role, *paths = sys.argv[1:]
importlib.import_module(f"pipeline.{name}").main(role, *map(Path, paths))
own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def write_clip(folder: Path) -> None:
    """A face-sized square of moving noise with noise to hear, its text and its track: clip.mp4, .txt and .npz."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (N_FRAMES, SIDE // 8, SIDE // 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    sound = rng.normal(0, 3000, N_FRAMES * SAMPLE_RATE // FPS).astype(np.int16)
    write_video(folder / "clip.mp4", frames, audio=sound)
    (folder / "clip.txt").write_text("Text:  BIN BLUE AT F TWO NOW\n", encoding="utf-8")
    face = np.array([[28, 30], [52, 30], [40, 42], [32, 54], [48, 54]])
    np.savez(
        folder / "clip.npz",
        boxes=np.tile(np.array([10, 10, 70, 70]), (N_FRAMES, 1)),
        landmarks=np.tile(face, (N_FRAMES, 1, 1)),
    )


def write_corpus(root: Path, clip: Path, n_clips: int) -> None:
    """The clip under `n_clips` ids, fifty a speaker."""
    names = [f"{number // 50:06d}/{number % 50:05d}" for number in range(n_clips)]
    for name in names:
        for suffix, target in ((".mp4", "main"), (".txt", "main"), (".npz", "face_tracks/main")):
            path = root / target / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(clip / f"clip{suffix}")
    (root / "train.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def run_stage(name: str, folder: Path) -> tuple[float, float, float]:
    """MiB of its own process and of the largest under it, and seconds."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", RUN_STAGE, name, ROLE, *STAGES[name]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    own, child = json.loads(done.stdout.splitlines()[-1])
    return own / 1024, child / 1024, time.monotonic() - started


def main(clips: Annotated[list[int] | None, typer.Argument(help="Sizes of corpora.")] = None) -> None:
    """Print the table."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["corpora"][ROLE] |= {"root": "raw", "watch": "raw"}
    params["screen"] |= {"policy": "measure", "min_windows": 1}
    net = SyncNet(load("screener", ScreenerParams, ROOT / "params.yaml").net.model)
    rows: dict[str, list[str]] = {name: [] for name in STAGES}
    for n_clips in clips or [1_000, 3_000, 10_000]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_clip(folder)
            write_corpus(folder / "raw", folder, n_clips)
            (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
            (folder / "net").mkdir()
            save(net, folder / "net" / "model.safetensors", {})
            for name, table in rows.items():
                own, child, seconds = run_stage(name, folder)
                table.append(f"| {name} | {n_clips:,} | {own:.0f} | {child:.0f} | {seconds:.0f} |")
                typer.echo(table[-1], err=True)
            n_kept = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["kept"]
            if n_kept != n_clips:
                raise RuntimeError(f"{n_kept} of {n_clips} clips were kept")
    typer.echo("| stage | clips | own MiB | largest process under it, MiB | s |\n|---|---:|---:|---:|---:|")
    for table in rows.values():
        typer.echo("\n".join(table))


if __name__ == "__main__":
    typer.run(main)
