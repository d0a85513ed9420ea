"""What the records of params.yaml say of their keys: the docstring under each field."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator
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
    return re.split(r"(?<!\beq)(?<!\beqs)(?<!\be\.g)(?<!\bal)\. ", " ".join(doc.split()), flags=re.IGNORECASE)[0].rstrip(".")


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


def records_in(kind: Any) -> list[type]:  # noqa: ANN401  # a type of any form
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


def _inside(value: Any, kind: Any, where: str) -> Iterator[Knob]:  # noqa: ANN401  # what YAML and types can hold
    records = records_in(kind)
    if not isinstance(value, dict) or not records:
        return
    is_dict = typing.get_origin(kind) in (dict, types.MappingProxyType)
    for prefix, row in ((f"{where}{name}.", row) for name, row in value.items()) if is_dict else ((where, value),):
        yield from knobs(row, records[0], prefix)
