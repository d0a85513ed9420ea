"""`synctalk plan`: what a corpus will cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def plan(
    corpus: Annotated[str, typer.Argument(help="Corpus of params.yaml: a key of `corpora`.")] = "",
    layout: Annotated[str, typer.Option(help="Layout of a corpus that params.yaml does not have.")] = "",
    root: Annotated[str, typer.Option(help="Folder of the corpus, instead of the one in params.yaml.")] = "",
    detector: Annotated[str, typer.Option(help="Face detector: tracks, yunet or insightface.")] = "",
    weights: Annotated[str, typer.Option(help="Its ONNX file, instead of the one in params.yaml.")] = "",
    clips: Annotated[int, typer.Option(min=2, help="Clips that are worked on.")] = 12,
    probes: Annotated[int, typer.Option(min=2, help="Clips that are probed for their length.")] = 200,
    seed: Annotated[int, typer.Option(help="Draws these clips.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes a machine; 0: as SYNCTALK_WORKERS says.")] = 0,
    machines: Annotated[int, typer.Option(min=1, help="Machines like this one.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say what a corpus will cost in hours and gigabytes, from a few of its clips.

    The lists are read whole; of the videos only a random sample is opened. Nothing is left behind.

    Example: synctalk plan lrs3 --workers 32 --machines 10

    Example: synctalk plan --layout voxceleb2 --root /data/VoxCeleb2 --detector yunet --weights yunet.onnx --json
    """
    from synctalk.planning.plan import Sampling, plan_corpus
    from synctalk.planning.render import render
    from synctalk.planning.settings import choose_settings
    from synctalk.runtime.mapping import n_workers

    settings = choose_settings(corpus, layout=layout, root=root, detector=detector, weights=weights)
    made = plan_corpus(settings, Sampling(clips, probes, seed), workers or n_workers(), machines)
    if as_json:
        typer.echo(json.dumps(asdict(made), sort_keys=True))
        return
    typer.echo(render(made, corpus or str(settings.root)))
