"""The command line: `synctalk doctor`, `dub`, `plan`, `score`, `study` and `weights`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from synctalk import __version__, cli_study, cli_weights
from synctalk.cli_doctor import doctor
from synctalk.cli_plan import plan
from synctalk.cli_score import score
from synctalk.errors import UserError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Talking faces: corpora and videos.")
app.add_typer(cli_study.app, name="study")
app.add_typer(cli_weights.app, name="weights")
app.command()(doctor)
app.command()(plan)
app.command()(score)


class DetectorName(StrEnum):
    """Face detectors whose weights a user can bring."""

    YUNET = "yunet"
    INSIGHTFACE = "insightface"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Talking faces by SyncTalklip."""


@app.command()
def dub(
    video: Annotated[Path, typer.Argument(help="Footage of a person, any format that FFmpeg reads.")],
    audio: Annotated[Path, typer.Argument(help="What the person shall say: sound, or a video with sound.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="MP4 to write.")],
    weights: Annotated[Path, typer.Option(help="ONNX file of the face detector.")],
    model: Annotated[Path, typer.Option(help="Generator, ours or published.")] = Path(
        "models/generators/base/model.safetensors"
    ),
    detector: Annotated[DetectorName, typer.Option(help="Face detector that the weights are of.")] = DetectorName.YUNET,
    min_score: Annotated[float, typer.Option(help="Faces below this score are not seen, 0..1.")] = 0.6,
    crf: Annotated[float, typer.Option(help="Quality of the video, 0 (best) to 51.")] = 14.0,
    lossless: Annotated[bool, typer.Option(help="Keep untouched pixels exactly; few players show such files.")] = False,
) -> None:
    """Make the person in VIDEO say AUDIO.

    Example: synctalk dub speaker.mp4 speech.wav -o dubbed.mp4 --weights face_detection_yunet_2023mar.onnx
    """
    from synctalk.checkpoints.typed import load_generator
    from synctalk.faces.detect import DetectorParams, make_detector
    from synctalk.generation.dub import dub as run_dub
    from synctalk.training.loop import set_threads

    set_threads()
    faces = make_detector(detector, DetectorParams(weights=str(weights), det_size=640, min_score=min_score))
    if not model.is_file():
        raise UserError(model, "is not there", "train one with `dvc repro`, or give --model")
    done = run_dub(load_generator(model), faces, video, audio, out, crf=crf, lossless=lossless)
    typer.echo(f"{out}: {done.n_frames} frames, {done.n_made} of them with a new face")
    if done.cut_s > 0:
        typer.echo(f"the sound outlasts the video: its last {done.cut_s:.2f} s were cut", err=True)


def main() -> None:
    """Entry point: a `UserError` becomes one line on stderr and exit status 1."""
    try:
        app()
    except UserError as error:
        sys.exit(f"error: {error}")
