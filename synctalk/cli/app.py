"""The command line: `synctalk doctor`, `dub`, `plan`, `score`, `study` and `weights`.

Nothing heavy is imported before a command needs it: `--help` and shell completion answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from typer.core import TyperGroup

from synctalk import __version__
from synctalk.cli import study, weights
from synctalk.cli.doctor import doctor
from synctalk.cli.plan import plan
from synctalk.cli.score import score
from synctalk.errors import UserError, no_room
from synctalk.generation.fit import Fit

DEBUG = "--debug"
EXIT_INPUT, EXIT_USAGE, EXIT_DEFECT, EXIT_INTERRUPTED = 1, 2, 3, 130
EXIT_CODES = (
    f"Exit status: 0 done; {EXIT_INPUT} bad input, or something that was checked is wrong; {EXIT_USAGE} wrong usage; "
    f"{EXIT_DEFECT} a defect of the program; {EXIT_INTERRUPTED} interrupted."
)


class AnywhereDebug(TyperGroup):
    """Takes `--debug` after the command too, where people put it."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer says `Any`
        stop = args.index("--") if "--" in args else len(args)
        if DEBUG in args[:stop]:
            args = [DEBUG, *(word for word in args[:stop] if word != DEBUG), *args[stop:]]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=AnywhereDebug,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Talking faces: corpora and videos.",
    epilog=EXIT_CODES,
)
app.add_typer(study.app, name="study")
app.add_typer(weights.app, name="weights")
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
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the trace of an error; may stand anywhere.")] = False,
) -> None:
    """Talking faces: lip-sync videos, score them, and see to corpora, weights and machine.

    Example: synctalk doctor
    """


@app.command()
def dub(
    video: Annotated[Path, typer.Argument(help="Footage of a person, any format that FFmpeg reads.")],
    audio: Annotated[Path, typer.Argument(help="What the person shall say: audio, or a video with audio.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="MP4 to write.")],
    weights: Annotated[Path, typer.Option(help="ONNX file of the face detector.")],
    model: Annotated[Path, typer.Option(help="Generator, ours or published.")] = Path(
        "models/generators/base/model.safetensors"
    ),
    detector: Annotated[DetectorName, typer.Option(help="Face detector that the weights are of.")] = DetectorName.YUNET,
    min_score: Annotated[float, typer.Option(help="Faces below this score are not seen, 0..1.")] = 0.6,
    fit: Annotated[
        Fit,
        typer.Option(
            help="How long the result is. keep: as long as VIDEO, longer audio is cut, after shorter audio the lips "
            "rest; cut: as long as the shorter of the two; loop, ping-pong: as long as AUDIO, VIDEO begins again, "
            "or runs backwards and forwards."
        ),
    ] = Fit.KEEP,
    faces: Annotated[
        str,
        typer.Option(
            help="Whose lips, in every shot: largest, all, or a number, from left to right among the faces seen for at "
            "least half as long as the one seen longest."
        ),
    ] = "largest",
    crf: Annotated[float, typer.Option(help="Quality of the video, 0 (best) to 51.")] = 14.0,
    lossless: Annotated[bool, typer.Option(help="Keep untouched pixels exactly; few players show such files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Make the person in VIDEO say AUDIO: an MP4 with H.264 and AAC whose metadata say that it is generated.

    Odd sides get one row or column more, by repetition, so that it plays everywhere.

    Example: synctalk dub speaker.mp4 speech.wav -o dubbed.mp4 --weights face_detection_yunet_2023mar.onnx
    """
    import json
    from dataclasses import asdict

    from synctalk.checkpoints.typed import load_generator
    from synctalk.faces.detect import DetectorParams, make_detector
    from synctalk.generation.dub import dub as run_dub
    from synctalk.runtime.device import set_threads

    who = _who(faces)
    set_threads()
    finder = make_detector(detector, DetectorParams(weights=str(weights), det_size=640, min_score=min_score))
    if not model.is_file():
        raise UserError(model, "is not there", "train one with `dvc repro`, or give --model")
    done = run_dub(load_generator(model), finder, video, audio, out, crf=crf, lossless=lossless, fit=fit, who=who)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **asdict(done)}, sort_keys=True))
        return
    typer.echo(f"{out}: {done.n_frames} frames, {done.n_made} of them with a new face")
    if done.cut_s > 0:
        typer.echo(f"the audio outlasts the video: its last {done.cut_s:.2f} s were cut", err=True)


def _who(faces: str) -> Literal["largest", "all"] | int:
    """What `--faces` asks for."""
    if faces == "largest":
        return "largest"
    if faces == "all":
        return "all"
    if not faces.isdecimal() or int(faces) < 1:
        raise typer.BadParameter(f"{faces!r} is none of largest, all, 1, 2, ...", param_hint="'--faces'")
    return int(faces)


def _stop(line: str, status: int) -> NoReturn:
    """End with one line on stderr."""
    typer.echo(line, err=True)
    raise SystemExit(status)


def main() -> None:
    """Entry point: whatever goes wrong is one line on stderr and an exit status of `EXIT_CODES`.

    With `--debug` an error shows its trace as well.
    """
    debug = DEBUG in sys.argv
    try:
        status = app(prog_name="synctalk", standalone_mode=False)
    except UserError as error:
        if debug:
            traceback.print_exc()
        sys.exit(f"error: {error}")  # status 1
    except (KeyboardInterrupt, typer.Abort):
        _stop("error: interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:  # `synctalk weights list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_INPUT)
    except Exception as error:
        if hasattr(error, "format_message"):  # click's usage errors, in whatever module typer keeps them
            _usage(error)
        if debug:
            raise
        if (full := no_room(error)) is not None:
            _stop(f"error: {full}", EXIT_INPUT)
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        _stop(f"error: a defect of synctalk, not of its input ({detail}); add {DEBUG} for the trace", EXIT_DEFECT)
    sys.exit(status or 0)


def _usage(error: Exception) -> NoReturn:
    """One line for wrong usage; help where no command was given."""
    context, message = getattr(error, "ctx", None), getattr(error, "message", "")
    path = context.command_path if context else "synctalk"
    if type(error).__name__ == "NoArgsIsHelpError":
        _stop(message, EXIT_USAGE)
    text = " ".join(error.format_message().split())  # type: ignore[attr-defined]  # click's, by whatever name
    _stop(f"error: {text} See `{path} --help`.", EXIT_USAGE)
