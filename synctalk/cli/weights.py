"""`synctalk weights`: import, verify and list published weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Published weights: read them safely, check them, see where to get them.")


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="Kind of weights; `synctalk weights list` names them.")],
    file: Annotated[Path, typer.Argument(help="The file as its authors publish it.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write, ending in .safetensors.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Check FILE entry by entry and write it as safetensors; nothing in it is ever run.

    Example: synctalk weights import syncnet syncnet_v2.model -o models/published/syncnet.safetensors
    """
    from synctalk.checkpoints.importing import import_weights

    done = import_weights(kind, file, out)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "path": str(done.path)}, sort_keys=True))
        return
    pieces = f", {done.n_pieces} word pieces" if done.n_pieces else ""
    typer.echo(f"{out}: {done.kind}, {done.n_parameters / 1e6:.2f} million parameters{pieces}, sha256 {done.sha256}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="Any file of weights.")],
    sha256: Annotated[str | None, typer.Option(help="What it must be; by default what FILE.sha256 says.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print path and checksum as JSON.")] = False,
) -> None:
    """Compare FILE with its SHA-256; exit status 1 where it differs.

    Example: synctalk weights verify models/published/syncnet.safetensors
    """
    from synctalk.checkpoints.importing import verify as check

    found = check(file, sha256)
    if as_json:
        typer.echo(json.dumps({"path": str(file), "sha256": found}, sort_keys=True))
        return
    typer.echo(f"{file}: as it should be, sha256 {found}")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False) -> None:
    """Show published files that can be imported, their licences, and who gives them out.

    Example: synctalk weights list --json
    """
    from synctalk.checkpoints.catalogue import PUBLISHED

    if as_json:
        typer.echo(json.dumps([asdict(row) for row in PUBLISHED], indent=2))
        return
    for row in PUBLISHED:
        typer.echo(f"{row.kind:18} {row.file}\n{'':18} {row.what}\n{'':18} {row.licence}\n{'':18} {row.obtain}")
