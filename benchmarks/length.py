"""Memory and speed of `synctalk dub` and `synctalk score` over the length of their input.

    python benchmarks/length.py CLIP dub --weights YUNET.onnx [--model FILE] [--fit FIT] [--minutes M ...]
    python benchmarks/length.py CLIP score [--sync SYNCNET] [--minutes M ...]

CLIP, a video with a face and audio, is repeated to so many minutes. With `--fit loop` or `ping-pong` only the audio is
long. A score is of the video beside itself by SyncNet, in one process, with the published scripts' JPEG; without
`--sync` weights are made by formula. Prints the highest resident set of a process of its own as the kernel kept it,
MiB, and seconds and frames a second with all that a run takes, start of Python included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from peer_score import formula_syncnet

from synctalk.checkpoints import save
from synctalk.generation.fit import Fit
from synctalk.media import probe, read_audio, read_video, write_video
from synctalk.media.read import require_video
from synctalk.timebase import FPS, SAMPLE_RATE

ROOT = Path(__file__).parents[1]
Minutes = Annotated[list[float] | None, typer.Option(help="Lengths.")]
app = typer.Typer(help=__doc__, add_completion=False)


@app.callback()
def options(context: typer.Context, clip: Annotated[Path, typer.Argument(help="Video with a face and audio.")]) -> None:
    context.obj = clip


def repeated(clip: Path, out: Path, seconds: float) -> Path:
    """`clip` repeated to `seconds`."""
    frames, pcm = read_video(clip).frames, read_audio(clip, require_video(probe(clip)).start_s)
    pictures = islice(chain.from_iterable(repeat(frames)), round(seconds * FPS))
    write_video(out, pictures, audio=np.resize(pcm, round(seconds * SAMPLE_RATE)))
    return out


def table(minutes: list[float] | None, words_of: Callable[[Path, float], list[object]]) -> None:
    """Run `synctalk` with the words for each length in seconds, made in an empty folder, and print what it took."""
    typer.echo("| minutes | MiB | s | frames/s |\n|---:|---:|---:|---:|")
    for length in minutes or [1.0, 3.0, 10.0]:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "synctalk", *map(str, words_of(Path(folder), 60 * length))]
            started = time.monotonic()
            environment = os.environ | {"PYTHONPATH": str(ROOT), "SYNCTALK_WORKERS": "1"}
            child = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                raise SystemExit(f"{' '.join(words)} ended with {status}")
            took = time.monotonic() - started
        memory, speed = usage.ru_maxrss / 1024, 60 * length * FPS / took
        typer.echo(f"| {length:g} | {memory:.0f} | {took:.0f} | {speed:.1f} |")


@app.command()
def dub(
    context: typer.Context,
    weights: Annotated[Path, typer.Option(help="ONNX file of YuNet.")],
    model: Annotated[Path, typer.Option(help="Generator.")] = ROOT / "models/generators/base/model.safetensors",
    fit: Annotated[Fit, typer.Option(help="As of `synctalk dub`.")] = Fit.KEEP,
    minutes: Minutes = None,
) -> None:
    """Of `synctalk dub`."""

    def words(folder: Path, seconds: float) -> list[object]:
        audio = repeated(context.obj, folder / "long.mp4", seconds)
        video = audio if fit in (Fit.KEEP, Fit.CUT) else context.obj
        return ["dub", video, audio, "-o", folder / "out.mp4", "--weights", weights, "--model", model, "--fit", fit]

    table(minutes, words)


@app.command()
def score(
    context: typer.Context,
    sync: Annotated[Path | None, typer.Option(help="SyncNet that sees frames.")] = None,
    minutes: Minutes = None,
) -> None:
    """Of `synctalk score`."""

    def words(folder: Path, seconds: float) -> list[object]:
        (folder / "made").mkdir()
        made = repeated(context.obj, folder / "made/clip.mp4", seconds)
        (folder / "real").mkdir()
        shutil.copy(made, folder / "real/clip.mp4")
        net = sync or folder / "sync.safetensors"
        if sync is None:
            save(formula_syncnet(), net)
        given = ["--reference", folder / "real", "--sync", net, "--jpeg", "-o", folder / "out"]
        return ["score", folder / "made", *given]

    table(minutes, words)


if __name__ == "__main__":
    app()
