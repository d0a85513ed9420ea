"""The command line of the perceptual study: `synctalk study build | serve | collect`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from synctalk.errors import UserError

app = typer.Typer(no_args_is_help=True, help="The perceptual study: people rate blinded videos.")


def _parse_methods(given: list[str]) -> dict[str, Path]:
    """NAME=DIR of each --method.

    Raises:
        UserError: one is not of that form, or a name comes twice.
    """
    methods: dict[str, Path] = {}
    for text in given:
        name, _, folder = text.partition("=")
        if not re.fullmatch(r"[\w.-]+", name) or not folder:
            raise UserError(
                f"--method {text}", "is not of the form NAME=DIR", "give --method wav2lip=videos or the like"
            )
        if name in methods:
            raise UserError(f"--method {text}", f"{name} is given twice", "give each method one folder")
        methods[name] = Path(folder)
    return methods


@app.command()
def build(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write and hand out.")],
    key: Annotated[Path, typer.Option(help="Key to write and keep: says what each video is.")],
    method: Annotated[
        list[str] | None,
        typer.Option(help="NAME=DIR: videos of a method; repeat. Clips are matched by path without suffix."),
    ] = None,
    own: Annotated[
        bool | None,
        typer.Option(
            "--own/--no-own",
            help="Show what the pipeline made, and the real clips, as `<corpus>/<id>`; so without any --method.",
        ),
    ] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="Corpora of --own; repeat.")] = None,
    videos: Annotated[int, typer.Option(min=1, help="Videos in all.")] = 100,
    raters: Annotated[int, typer.Option(min=1, help="People who rate.")] = 20,
    overlap: Annotated[int, typer.Option(min=1, help="Raters of each video; agreement needs 2 or more.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the choice of clips and of who rates what.")] = 0,
    size: Annotated[int, typer.Option(min=16, help="Pixels of the square frames; even.")] = 320,
    crf: Annotated[float, typer.Option(min=0, max=51, help="Quality of the videos, 0 (best) to 51.")] = 16.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was built as JSON.")] = False,
) -> None:
    """Blind videos and share them out to raters.

    Example: synctalk study build -o study --key study-key.json --own --method wav2lip=wav2lip_videos
    """
    from synctalk.study.build import StudyPlan, build_study, folder_sources, links_path, own_sources
    from synctalk.study.records import Origin
    from synctalk.study.videos import Form, Source
    from synctalk.tables.setting import TEST_CORPORA

    if size % 2:
        raise UserError(f"--size {size}", "is odd", "players need an even number")
    folders, origin = _parse_methods(method or []), Origin()
    sources: dict[str, dict[str, Source]] = {}
    if own or (own is None and not folders):
        sources, origin = own_sources(corpus or list(TEST_CORPORA))
    for name in sources.keys() & folders.keys():
        raise UserError(f"--method {name}", "is a method of the pipeline too", "name the folder's method otherwise")
    sources |= folder_sources(folders)
    plan = StudyPlan(videos, raters, overlap, seed, Form(size, crf))
    built = build_study(sources, plan, origin, out, key)
    for note in built.notes:
        typer.echo(note, err=True)
    loads = sorted({len(names) for names in built.key.raters.values()})
    if as_json:
        shown = {"videos": videos, "methods": sorted(sources), "videos_of_rater": loads, "out": str(out)}
        shown |= {"key": str(key), "links": str(links_path(key))}
        typer.echo(json.dumps(shown, sort_keys=True))
        return
    each = " or ".join(map(str, loads))
    typer.echo(f"{out}: {videos} videos of {len(sources)} methods, {raters} raters with {each} videos each")
    typer.echo(f"hand out {out}/ or run `synctalk study serve {out}`; the raters' codes are in {links_path(key)}")
    typer.echo(f"keep {key} to yourself: without it the answers cannot be read")


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(help="Folder that `study build` wrote.")],
    answers: Annotated[Path, typer.Option(help="Folder that the answers are saved in.")] = Path("answers"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
) -> None:
    """Show the study on this machine and save the answers as they are given.

    Example: synctalk study serve study --answers answers
    """
    from synctalk.study.serve import StudyServer

    with StudyServer(folder, answers, port) as server:
        typer.echo(f"{server.url}?rater=CODE\nanswers go to {answers}/; stop with Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("stopped")


@app.command()
def collect(
    answers: Annotated[list[Path], typer.Argument(help="Files of answers, or folders of them.")],
    key: Annotated[Path, typer.Option(help="Key that `study build` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the results.")] = Path("results/study"),
    strict: Annotated[bool, typer.Option(help="Fail where anything at all is wrong with the answers.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Check and merge answers: means, deviations, intervals, agreement, table 5.

    What is wrong with an answer is named in one line each, and listed in findings.csv. In the default folder the result
    is where `dvc repro` looks for table 5.

    Example: synctalk study collect answers --key study-key.json
    """
    from synctalk.study.collect import collect_study

    summary, findings = collect_study(answers, key, out)
    for finding in findings:
        typer.echo(finding.line, err=True)
    if as_json:
        typer.echo(json.dumps(summary, sort_keys=True))
    else:
        typer.echo((out / "table5.md").read_text(encoding="utf-8"))
        typer.echo(f"{summary['n_ratings']} ratings of {summary['n_videos']} videos are in {out}")
    if strict and findings:
        raise UserError(out / "findings.csv", f"lists {len(findings)} things that are wrong", "see the lines above")
