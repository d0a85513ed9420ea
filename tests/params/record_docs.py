"""What the records of params.yaml say of their keys: the docstring under each field."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Knob:
    """A key of params.yaml.

    Attributes:
        key: dotted.
        field: `Record.field` that it sets.
        kind: type of the field.
        sentence: first one of its docstring, without its full stop; "" where it has none.
    """

    key: str
    field: str
    kind: Any
    sentence: str


def first_sentence(doc: str) -> str:
    """Up to the first full stop that ends a sentence."""
    return re.split(r"(?<!\beq)(?<!\beqs)(?<!\be\.g)(?<!\bal)\. ", " ".join(doc.split()), flags=re.IGNORECASE)[
        0
    ].rstrip(".")


@cache
def sentences(record: type) -> dict[str, str]:
    """Field -> first sentence of the docstring that follows it; those of the records it extends too."""
    found: dict[str, str] = {}
    for owner in reversed(record.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0].body  # type: ignore[attr-defined]  # a class
        for field, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                doc = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
                found[field.target.id] = first_sentence(doc)  # type: ignore[union-attr]  # a plain name
    return found


def records_in(kind: Any) -> list[type]:  # a type of any form
    """The records that a type is or may be."""
    if dataclasses.is_dataclass(kind):
        return [kind]  # type: ignore[list-item]  # never an instance
    return [record for inner in typing.get_args(kind) for record in records_in(inner)]


def knobs(values: dict[str, Any], record: type, where: str = "") -> Iterator[Knob]:
    """Every key in `values`, at any depth; entries of a dict of records are no keys themselves.

    `adam`, which a row of `optim` names, is read by `synctalk.params.rows` and belongs to no record.
    """
    hints = typing.get_type_hints(record)
    for name, value in values.items():
        if name == "adam" and "adam" not in hints:
            continue
        kind, key = hints[name], f"{where}{name}"
        yield Knob(key, f"{record.__name__}.{name}", kind, sentences(record)[name])
        yield from _inside(value, kind, f"{key}.")


def _inside(value: Any, kind: Any, where: str) -> Iterator[Knob]:  # what YAML and types can hold
    records = records_in(kind)
    if not isinstance(value, dict) or not records:
        return
    is_dict = typing.get_origin(kind) in (dict, types.MappingProxyType)
    for prefix, row in ((f"{where}{name}.", row) for name, row in value.items()) if is_dict else ((where, value),):
        yield from knobs(row, records[0], prefix)


def _dotted(lines: list[str]) -> list[str]:
    """The dotted key of each line of a YAML file in block style; "" where it has none."""
    found, stack = [], list[str]()
    for line in lines:
        key = re.match(r"( *)(\w+):", line)
        if key:
            stack = [*stack[: len(key[1]) // 2], key[2]]
        found.append(".".join(stack) if key else "")
    return found


def commented(text: str, keys: Iterable[Knob]) -> str:
    """A YAML file with each comment about a key as the key's record says it; all other comments as they are.

    Such a comment stands behind its key, or on a line of its own before the section that has it, as `# key: sentence`;
    several on one line are parted by ` | `.
    """
    of_key = {knob.key: knob for knob in keys}
    lines = text.splitlines()
    dotted = _dotted(lines)

    def said(section: str, piece: str) -> str:
        name = piece.partition(":")[0]
        known = (k.sentence for key, k in of_key.items() if key.startswith(section) and key.rsplit(".", 1)[-1] == name)
        sentence = next(filter(None, known), "")
        return f"{name}: {sentence}" if sentence else piece

    out = []
    for number, line in enumerate(lines):
        knob = of_key.get(dotted[number])
        if own := re.match(r"( *# )(\w+: .*)", line):
            section = next((key for key in dotted[number:] if key), "")
            line = own[1] + " | ".join(said(section, piece) for piece in own[2].split(" | "))
        elif knob and knob.sentence and not records_in(knob.kind) and (end := re.match(r"(.*?\S) +# ", line)):
            line = f"{end[1]}  # {knob.sentence}"
        out.append(line)
    return "\n".join(out) + "\n"


def unsaid(text: str, keys: Iterable[Knob]) -> set[str]:
    """`Record.field` of the keys that no comment of the file is about."""
    pieces = {piece for comment in re.findall(r"# (.*)", text) for piece in comment.split(" | ")}
    fields: dict[str, bool] = {}
    for knob in keys:
        if not records_in(knob.kind):
            name = knob.key.rsplit(".", 1)[-1]
            said = bool(knob.sentence) and bool({knob.sentence, f"{name}: {knob.sentence}"} & pieces)
            fields[knob.field] = said
    return {field for field, said in fields.items() if not said}
