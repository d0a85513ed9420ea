"""Write a scale into params.yaml: `python -m pipeline.scale demo|gpu|large|paper|tiny`.

A scale is a JSON merge patch (RFC 7386) of the demo: what it changes, null where a key goes. The demo is params.yaml as
it was when the demo was left, or else as git has it. A scale's key `synthetic` patches data/synthetic/params.yaml.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.tokens import CommentToken

from pipeline.stage import run
from synctalk.errors import UserError
from synctalk.params.read import PARAMS, RECIPES, SYNTHETIC, read_yaml
from synctalk.runtime.scratch import STATE_DIR

SCALES = Path(__file__).parent / "scales"
DEMO = "demo"
LEFT = STATE_DIR / DEMO
"""The demo's files as they were when another scale was written over them."""

BROUGHT = ("checkpoint", "weights", "pieces", "units")
"""Keys that name files of the user's; "" where there is none."""

KeyPath = tuple[str, ...]
GONE = object()


@dataclass(frozen=True)
class Texts:
    """The two files that a scale is written into."""

    params: str
    recipes: str


def scale_names() -> list[str]:
    """Names of the scales."""
    return sorted([DEMO, *(path.stem for path in SCALES.glob("*.yaml"))])


def read_scale(name: str) -> dict[str, Any]:
    """What a scale changes of the demo, with `synthetic` for the recipes of the look-alikes.

    Raises:
        UserError: no such scale.
    """
    if name not in scale_names():
        raise UserError(f"scale {name}", "is unknown", f"take one of {', '.join(scale_names())}")
    return {} if name == DEMO else read_yaml(SCALES / f"{name}.yaml")


def patched(values: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`values` after a JSON merge patch."""
    found = {key: value for key, value in values.items() if patch.get(key, GONE) is not None}
    for key, value in patch.items():
        if isinstance(value, dict):
            inner = found.get(key)
            found[key] = patched(inner if isinstance(inner, dict) else {}, value)
        elif value is not None:
            found[key] = value
    return found


def changes(before: dict[str, Any], after: dict[str, Any], where: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Keys whose values differ, with what they are afterwards: `GONE` where they are no more."""
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key, GONE), after.get(key, GONE)
        if isinstance(old, dict) and isinstance(new, dict) and old:
            yield from changes(old, new, (*where, key))
        elif old != new:
            yield (*where, key), new


def at(values: Any, path: KeyPath) -> Any:  # noqa: ANN401  # whatever YAML can hold
    """The value of a dotted key; `GONE` where there is none."""
    for key in path:
        values = values.get(key, GONE) if isinstance(values, dict) else GONE
    return values


def brought_by_the_user(values: dict[str, Any]) -> Iterator[KeyPath]:
    """Keys that hold what no scale does: corpora that lie elsewhere, files of weights (with what their nets see),
    videos of others, the variant.
    """
    named = [read_scale(name) for name in scale_names()]
    for name, corpus in values["corpora"].items():
        root = corpus.get("root")
        if not Path(root).is_relative_to(SYNTHETIC) and root not in [at(s, ("corpora", name, "root")) for s in named]:
            yield "corpora", name
    yield from _files_brought(values, named)
    yield from (("external",), ("variant",))


def _files_brought(values: dict[str, Any], named: list[dict[str, Any]], where: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in values.items():
        here = (*where, key)
        if isinstance(value, dict):
            yield from _files_brought(value, named, here)
        elif key in BROUGHT and value and value not in [at(scale, here) for scale in named]:
            yield here
            if "view" in values:
                yield (*where, "view")


def put(values: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:  # noqa: ANN401  # of YAML
    """`values` with one value set, or taken away where it is `GONE`."""
    key, *rest = path
    if rest:
        return values | {key: put(values.get(key, {}), tuple(rest), value)}
    return {k: v for k, v in values.items() if k != key} if value is GONE else values | {key: value}


def switched(
    current: dict[str, Any], reference: dict[str, Any], target: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Values of the new scale with what is the user's, and a line for each key of the user's that gave way.

    Args:
        current: the file as it is.
        reference: as the scale that is left would be, had nobody touched it.
        target: as the new scale is, for the same nobody.
    """
    found = target
    for path in brought_by_the_user(current) if "corpora" in current else ():
        if path != ("variant",) or current["variant"] in target["methods"]:
            found = put(found, path, at(current, path))
    gave_way = []
    for path, value in changes(reference, current):
        there = at(found, path)
        same_corpus = path[0] == "corpora" and at(found, (*path[:2], "root")) == at(current, (*path[:2], "root"))
        if there == value:
            continue
        if same_corpus or (there is GONE and at(reference, path) is GONE):
            found = put(found, path, value)
        else:
            gave_way.append(f"{'.'.join(path)}: {_shown(value)} -> {_shown(there)}")
    return found, gave_way


def _shown(value: Any) -> str:  # noqa: ANN401  # of YAML
    return "nothing" if value is GONE else json.dumps(value)


def _yaml() -> YAML:
    """As DVC writes params.yaml, so that `dvc exp run -S` changes a line and not the form."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.default_flow_style = False
    yaml.representer.add_representer(float, _plain_float)
    return yaml


def _plain_float(representer: RoundTripRepresenter, value: float) -> ScalarNode:
    """Without an exponent: YAML 1.1, which DVC and others read, takes 1e-05 for text."""
    text = f"{value:.12f}".rstrip("0")
    return representer.represent_scalar("tag:yaml.org,2002:float", text + "0" * text.endswith("."))


def written(text: str, values: dict[str, Any]) -> str:
    """The YAML file `text` with other values: comments of the keys that stay, stay."""
    yaml = _yaml()
    document, out = yaml.load(text), StringIO()
    _impose(document, values)
    yaml.dump(document, out)
    return out.getvalue()


def _impose(document: CommentedMap, values: dict[str, Any]) -> None:
    """Give `document` the keys and values of `values`, in place."""
    for key in [key for key in document if key not in values]:
        _remove(document, key)
    for key, value in values.items():
        old = document.get(key)
        if isinstance(old, CommentedMap) and isinstance(value, dict) and old:
            if old != value and not _fits(value):
                old.fa.set_block_style()
            _impose(old, value)
        elif isinstance(old, CommentedSeq) and isinstance(value, list):
            old[:] = value
        elif old != value or key not in document:
            _insert(document, key, _node(value))


def _node(value: Any) -> Any:  # noqa: ANN401  # of YAML
    """A new value: short rows in flow style."""
    if isinstance(value, list):
        node = CommentedSeq(value)
        node.fa.set_flow_style()
        return node
    if isinstance(value, dict):
        made = CommentedMap({key: _node(inner) for key, inner in value.items()})
        if _fits(value):
            made.fa.set_flow_style()
        return made
    return value


def _fits(row: dict[str, Any]) -> bool:
    """Whether a row in flow style, with its key and indentation, takes at most DVC's 80 columns."""
    return len(json.dumps(row).replace('"', "")) <= 58


def _insert(document: CommentedMap, key: str, node: Any) -> None:  # noqa: ANN401  # of YAML
    """Set a key; what follows the mapping still follows it."""
    if key in document:
        dict.__setitem__(document, key, node)  # that of ruamel.yaml would keep the quotes of the old value
        return
    tail = _take_tail(document) if document else None
    document[key] = node
    if tail:
        _add_tail(document, tail)


def _remove(document: CommentedMap, key: str) -> None:
    """Take a key away; the comment lines after it, which are about the next one, stay."""
    tail = _take_tail(document) if list(document)[-1] == key else None
    del document[key]
    if tail and document:
        _add_tail(document, tail)


def _last(document: CommentedMap) -> tuple[CommentedMap, str]:
    """The mapping and the key on the last line of a block; ruamel.yaml hangs what follows on it."""
    key = list(document)[-1]
    inner = document[key]
    if isinstance(inner, CommentedMap) and inner and not inner.fa.flow_style():
        return _last(inner)
    return document, key


def _take_tail(document: CommentedMap) -> str:
    """Cut the lines after the last one off its comment."""
    owner, key = _last(document)
    token = (owner.ca.items.get(key) or [None, None, None, None])[2]
    if token is None or "\n" not in token.value:
        return ""
    own, _, tail = token.value.partition("\n")
    token.value = f"{own}\n"
    if not own:
        owner.ca.items.pop(key)
    return str(tail)


def _add_tail(document: CommentedMap, tail: str) -> None:
    owner, key = _last(document)
    items = owner.ca.items.get(key)
    if items and items[2] is not None:
        items[2].value = items[2].value.rstrip("\n") + "\n" + tail
    else:
        owner.ca.items[key] = [None, None, CommentToken("\n" + tail, CommentMark(0), None), None]


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def committed_demo(folder: Path) -> Texts | None:
    """The files of the newest commit whose params.yaml is the demo; None where git has none."""
    for commit in _git(folder, "log", "--format=%H", "--", PARAMS.as_posix()).split():
        params = _git(folder, "show", f"{commit}:./{PARAMS}")
        if f"\nscale: {DEMO}\n" in params:
            recipes = _git(folder, "show", f"{commit}:./{RECIPES}")
            return Texts(params, recipes) if recipes else None
    return None


def demo_texts(folder: Path, scale: str, texts: Texts) -> Texts:
    """The demo's files: those at hand where they are the demo's, else as it was left, else as git has it.

    Raises:
        UserError: there are none.
    """
    if scale == DEMO:
        return texts
    left = folder / LEFT
    if (left / PARAMS.name).exists():
        return Texts(
            (left / PARAMS.name).read_text(encoding="utf-8"), (left / "recipes.yaml").read_text(encoding="utf-8")
        )
    found = committed_demo(folder)
    if found is None:
        raise UserError(left, "holds no demo, and no commit does", f"bring a {PARAMS} of scale {DEMO} back")
    return found


def apply_scale(name: str, folder: Path = Path()) -> list[str]:
    """Write scale `name` into the files of the project in `folder`; returns a line for each key of the user's that
    was overwritten.

    Raises:
        UserError: no such scale, or no demo to begin with.
    """
    patch = read_scale(name)
    paths = folder / PARAMS, folder / RECIPES
    texts = Texts(*(path.read_text(encoding="utf-8") for path in paths))
    scale = str(read_yaml(paths[0]).get("scale"))
    demo = demo_texts(folder, scale, texts)
    untouched = (committed_demo(folder) if scale == DEMO else None) or demo
    if scale == DEMO != name:
        (folder / LEFT).mkdir(parents=True, exist_ok=True)
        (folder / LEFT / PARAMS.name).write_text(texts.params, encoding="utf-8")
        (folder / LEFT / "recipes.yaml").write_text(texts.recipes, encoding="utf-8")
    left = read_scale(scale)
    said: list[str] = []
    for part, path in zip(("params", "recipes"), paths, strict=True):
        base, current = _values(getattr(demo, part)), _values(getattr(texts, part))
        target = patched(base, _part(patch, part))
        found, gave_way = switched(current, patched(_values(getattr(untouched, part)), _part(left, part)), target)
        if found != base:
            path.write_text(written(getattr(demo, part), found), encoding="utf-8")
        else:
            path.write_text(getattr(demo, part), encoding="utf-8")
        said += [line for line in gave_way if not line.startswith("scale: ")]
    return said


def _values(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(YAML(typ="safe").load(text), default=str))
    return values


def _part(patch: dict[str, Any], part: str) -> dict[str, Any]:
    """What a scale changes of one file."""
    return patch.get("synthetic", {}) if part == "recipes" else {k: v for k, v in patch.items() if k != "synthetic"}


def main(
    name: Annotated[str, typer.Argument(help="demo, gpu, large, paper or tiny; nothing: say which one is set.")] = "",
) -> None:
    """Write a scale into params.yaml, and check the file; without NAME its inputs too. What is yours stays: corpora,
    weights, methods; each other key of yours that the scale overwrites is printed.
    """
    from synctalk.schema import check, require_inputs

    for line in apply_scale(name) if name else ():
        typer.echo(f"overwritten: {line}")
    params = check()
    if not name:
        require_inputs(params)
    typer.echo(f"scale {params.scale}, variant {params.variant}")


if __name__ == "__main__":
    run(main)
