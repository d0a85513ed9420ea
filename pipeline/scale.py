"""Write the values of a scale into params.yaml: `python -m pipeline.scale demo|gpu|large|paper|tiny`.

A scale is a set of values for keys of params.yaml. pipeline/scales/demo.yaml names every key that any scale changes;
the others name what differs from the demo and are laid over it, so that switching back and forth loses nothing. Keys
that no scale names stay as they are, comments too: a method of your own, say. `dvc repro` and `dvc exp run` obey the
file that is written.
"""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from pipeline.stage import run
from synctalk.errors import UserError
from synctalk.params.read import PARAMS, read_yaml

SCALES = Path(__file__).parent / "scales"
DEFAULT = "demo"
EXACTLY = "="
"""Key under which a section names all of its entries, in their order: those that other scales name are removed (the
iterations of pre-training, say), those that no scale names stay behind them. The last entry stays in all scales: what
stands between it and the next section belongs to it."""


def scale_names() -> list[str]:
    """Names of the scales."""
    return sorted(path.stem for path in SCALES.glob("*.yaml"))


def read_scale(name: str) -> dict[str, Any]:
    """The file of a scale; each value is its own, whatever anchors it was written with.

    Raises:
        UserError: no such scale.
    """
    if name not in scale_names():
        raise UserError(f"scale {name}", "is unknown", f"take one of {', '.join(scale_names())}")
    scale: dict[str, Any] = json.loads(json.dumps(read_yaml(SCALES / f"{name}.yaml")))
    return scale


def named_entries(values: dict[str, Any], where: str = "") -> dict[str, set[str]]:
    """Dotted name of each section that `values` lists exactly -> its entries."""
    if EXACTLY in values:
        return {where: set(values[EXACTLY])}
    sections = [named_entries(value, f"{where}{key}.") for key, value in values.items() if isinstance(value, dict)]
    return {name: entries for section in sections for name, entries in section.items()}


def entries_of_scales() -> dict[str, set[str]]:
    """The same over all scales: what is listed there belongs to them, what is not to the user."""
    found: dict[str, set[str]] = {}
    for scale in map(read_scale, scale_names()):
        for name, entries in named_entries(scale).items():
            found.setdefault(name, set()).update(entries)
    return found


def merge(target: CommentedMap, values: dict[str, Any], listed: dict[str, set[str]], where: str = "") -> None:
    """Set the leaves of `values` in `target`, in place, so that comments stay.

    Args:
        target: params.yaml.
        values: of a scale.
        listed: see `entries_of_scales`.
        where: beginning of the dotted names of `values`.

    Raises:
        UserError: `target` lacks a key.
    """
    for key, value in values.items():
        name = f"{where}{key}"
        if key not in target:
            raise UserError(PARAMS, f"{name} is missing", "restore it with git")
        if isinstance(value, dict) and EXACTLY in value:
            entries = value[EXACTLY]
            own = [entry for entry in target[key] if entry not in listed[f"{name}."]]
            for extra in set(target[key]) - set(entries) - set(own):
                del target[key][extra]
            target[key].update({entry: entries[entry] for entry in entries if entry not in target[key]})
            for entry in (*entries, *own):
                target[key].move_to_end(entry)
            merge(target[key], entries, listed, f"{name}.")
        elif isinstance(value, dict):
            merge(target[key], value, listed, f"{name}.")
        elif target[key] != value:
            target[key] = value


def _plain_float(representer: RoundTripRepresenter, value: float) -> ScalarNode:
    """Without an exponent: YAML 1.1, which DVC and others read, takes 1e-05 for text."""
    text = f"{value:.12f}".rstrip("0")
    return representer.represent_scalar("tag:yaml.org,2002:float", text + "0" * text.endswith("."))


def apply_scale(name: str, params: Path = PARAMS) -> None:
    """Write scale `name` into the file `params`.

    Raises:
        UserError: no such scale, or a key is missing in the file.
    """
    scale = read_scale(name)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.representer.add_representer(float, _plain_float)
    document = yaml.load(params.read_text(encoding="utf-8"))
    listed = entries_of_scales()
    merge(document, read_scale(DEFAULT), listed)
    merge(document, scale, listed)
    out = StringIO()
    yaml.dump(document, out)
    params.write_text(out.getvalue(), encoding="utf-8")


def main(
    name: Annotated[str, typer.Argument(help="demo, gpu, large, paper or tiny; nothing: say which one is set.")] = "",
) -> None:
    """Write the values of a scale into params.yaml, and check the file; without NAME its inputs too."""
    from synctalk.params.schema import check, require_inputs

    if name:
        apply_scale(name)
    params = check()
    if not name:
        require_inputs(params)
    typer.echo(f"scale {params.scale}, variant {params.variant}")


if __name__ == "__main__":
    run(main)
