"""Memory and speed of `synctalk dub` over the length of its input.

    python benchmarks/dub.py CLIP --weights YUNET.onnx [--model FILE] [--fit FIT] [--minutes M ...]

CLIP, a video with a face and sound, is repeated to so many minutes, pictures and sound; dubbed by `synctalk dub` in a
process of its own. With `--fit loop` or `ping-pong` only the sound is long. Prints the highest resident set of that
process as the kernel kept it, MiB, and seconds and frames a second with all that a run takes, start of Python included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from synctalk.generation.fit import Fit
from synctalk.media import probe, read_audio, read_video, write_audio, write_video
from synctalk.media.read import require_video
from synctalk.timebase import FPS

ROOT = Path(__file__).parents[1]
RUN = """
import sys
from synctalk.cli.app import main
try:
    main()
finally:
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def write_input(clip: Path, folder: Path, seconds: float, *, long_video: bool) -> tuple[Path, Path]:
    """`clip` repeated to `seconds`; its video once only where that is not `long_video`."""
    frames, pcm = read_video(clip).frames, read_audio(clip, require_video(probe(clip)).start_s)
    n_times = round(seconds * FPS) // len(frames) + 1 if long_video else 1
    pictures = chain.from_iterable(repeat(frames, n_times))
    n_frames = round(seconds * FPS) if long_video else len(frames)
    write_video(folder / "video.mp4", (frame for _, frame in zip(range(n_frames), pictures, strict=False)))
    write_audio(folder / "sound.wav", np.resize(pcm, round(seconds * 16_000)))
    return folder / "video.mp4", folder / "sound.wav"


def main(
    clip: Annotated[Path, typer.Argument(help="Video with a face and sound.")],
    weights: Annotated[Path, typer.Option(help="ONNX file of YuNet.")],
    model: Annotated[Path, typer.Option(help="Generator.")] = ROOT / "models/generators/base/model.safetensors",
    fit: Annotated[Fit, typer.Option(help="As of `synctalk dub`.")] = Fit.KEEP,
    minutes: Annotated[list[float] | None, typer.Option(help="Lengths.")] = None,
) -> None:
    """Print the table."""
    typer.echo("| minutes | MiB | s | frames/s |\n|---:|---:|---:|---:|")
    for length in minutes or [1.0, 3.0, 10.0]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            video, sound = write_input(clip, folder, 60 * length, long_video=fit in (Fit.KEEP, Fit.CUT))
            words = [video, sound, "-o", folder / "out.mp4", "--weights", weights, "--model", model, "--fit", fit.value]
            started = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", RUN, "dub", *map(str, words)],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            took = time.monotonic() - started
            n_frames = require_video(probe(folder / "out.mp4")).n_frames
            memory = int(done.stdout.splitlines()[-1]) / 1024
        typer.echo(f"| {length:g} | {memory:.0f} | {took:.0f} | {n_frames / took:.1f} |")


if __name__ == "__main__":
    typer.run(main)
