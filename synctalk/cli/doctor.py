"""`synctalk doctor`: what is there, what is missing, and the mend."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False) -> None:
    """Look at this machine, the installation and params.yaml; exit status 1 where work will break.

    Example: synctalk doctor
    """
    from synctalk.doctor import State, examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        colours = {State.OK: typer.colors.GREEN, State.NOTE: typer.colors.YELLOW, State.FAIL: typer.colors.RED}
        for finding in findings:
            state = typer.style(f"{finding.state:4}", fg=colours[finding.state])
            typer.echo(f"{state}  {finding.name:21}  {finding.found}")
            if finding.mend:
                typer.echo(f"{'':27}  -> {finding.mend}")
    if any(finding.state is State.FAIL for finding in findings):
        raise typer.Exit(1)
