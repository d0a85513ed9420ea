"""Write the values of a scale into params.yaml: `python -m pipeline.scale demo|gpu|paper|tiny`.

A scale is a set of values for keys of params.yaml, in pipeline/scales/<name>.yaml; keys that it does not name stay as
they are, comments too. All scales name the same keys, so that switching back and forth loses nothing. `dvc repro` and
`dvc exp run` obey the file that is written.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from pipeline.stage import run
from synctalk.errors import UserError
from synctalk.params import PARAMS, read_yaml

SCALES = Path(__file__).parent / "scales"


def scale_names() -> list[str]:
    """Names of the scales."""
    return sorted(path.stem for path in SCALES.glob("*.yaml"))


def merge(target: CommentedMap, values: dict[str, Any], where: str = "") -> None:
    """Set the leaves of `values` in `target`, in place.

    A section whose entries differ between scales (the iterations of pre-training, say) is replaced as a whole where
    the value carries the key `=`.

    Raises:
        UserError: `target` lacks a key.
    """
    for key, value in values.items():
        name = f"{where}{key}"
        if isinstance(value, dict) and "=" in value:
            target[key] = value["="]
        elif key not in target:
            raise UserError(PARAMS, f"{name} is missing", "restore it with git")
        elif isinstance(value, dict):
            merge(target[key], value, f"{name}.")
        else:
            target[key] = value


def apply_scale(name: str, params: Path = PARAMS) -> None:
    """Write scale `name` into the file `params`.

    Raises:
        UserError: no such scale, or a key is missing in the file.
    """
    if name not in scale_names():
        raise UserError(name, "is no scale", f"take one of {', '.join(scale_names())}")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(params.read_text(encoding="utf-8"))
    merge(document, read_yaml(SCALES / f"{name}.yaml"))
    out = StringIO()
    yaml.dump(document, out)
    params.write_text(out.getvalue(), encoding="utf-8")


def main(
    name: Annotated[str, typer.Argument(help="demo, gpu, paper or tiny; nothing: say which one is set.")] = "",
) -> None:
    """Write the values of a scale into params.yaml, and check the file."""
    from synctalk.schema import check

    if name:
        apply_scale(name)
    params = check()
    typer.echo(f"scale {params.scale}, variant {params.variant}")


if __name__ == "__main__":
    run(main)
