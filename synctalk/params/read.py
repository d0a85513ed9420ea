"""Reading params.yaml. Strict: an unknown, missing or wrong key is an error that names it.

A stage loads only the sections that it names to DVC; `synctalk.schema` holds the whole shape, against which
`check` reads the file.
"""

from __future__ import annotations

import json
import math
import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from synctalk.errors import UserError
from synctalk.params.rows import whole_entry, whole_section

PARAMS = Path("params.yaml")

SYNTHETIC = Path("data/synthetic")
"""Where the project makes its look-alikes; the root of a corpus elsewhere is the user's."""

RECIPES = SYNTHETIC / "params.yaml"
"""Their recipes, by name."""

T = TypeVar("T")

_REASONS = {"unexpected_keyword_argument": "is an unknown key", "missing": "is missing"}


MAX_VALUES = 100_000
"""Values that a file may stand for: a few lines of YAML's aliases can stand for more than any memory holds."""


def _n_values(data: object, known: dict[int, float]) -> float:
    """Values in nested dicts and lists, where the same one stands twice counted twice; infinite where one holds itself.

    Args:
        data: nested dicts and lists.
        known: those that were counted, by their identity.
    """
    if not isinstance(data, dict | list):
        return 1
    if id(data) not in known:
        known[id(data)] = math.inf
        inside = data.values() if isinstance(data, dict) else data
        known[id(data)] = 1 + sum(_n_values(value, known) for value in inside)
    return known[id(data)]


def read_yaml(path: Path) -> dict[str, Any]:
    """The file as plain dicts and lists.

    Raises:
        UserError: it is missing, or no YAML mapping.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except FileNotFoundError as error:
        raise UserError(path, "is not there", "run in the root of the project") from error
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, AttributeError, RecursionError, ValueError) as error:
        # PyYAML passes on what odd dates, numbers and depths make of its own code
        raise UserError(path, f"is no YAML: {' '.join(str(error).split())}", "restore it with git") from error
    if not isinstance(data, dict):
        raise UserError(path, "holds no keys", "restore it with git")
    if _n_values(data, {}) > MAX_VALUES:
        raise UserError(path, f"its aliases stand for more than {MAX_VALUES:,} values", "restore it with git")
    return data


def _shown(path: Path) -> str:
    """A file as errors name it: params.yaml by its name, wherever it lies."""
    return path.as_posix() if path.name == PARAMS.name and path.parent.name == SYNTHETIC.name else PARAMS.name


def validate(data: Any, kind: type[T], where: str, path: Path = PARAMS) -> T:  # noqa: ANN401  # of YAML
    """`data` of the file `path` as the record `kind`; `where` begins the name of a wrong key, "" at the file's top.

    Raises:
        UserError: a key is unknown, missing or wrong.
    """
    try:
        # as JSON, lists may become tuples while numbers stay strict; YAML's dates are read as the text they are
        return TypeAdapter(kind).validate_json(json.dumps(data, default=str), strict=True)
    except TypeError as error:  # a key that is a date, or several values
        raise UserError(
            _shown(path), f"{where} has a key that is no text ({error})".lstrip(), "mend the key"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in (where, *first["loc"]) if part != "")
        reason = _REASONS.get(first["type"], f"{first['msg'].lower()}, not {reprlib.repr(first['input'])}")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise UserError(_shown(path), f"{key} {reason}{more}", "mend the key") from error


def load(name: str, kind: type[T], path: Path = PARAMS) -> T:
    """One section of params.yaml as the record `kind`.

    Raises:
        UserError: the file or the section is missing, or a key is unknown, missing or wrong.
    """
    data = read_yaml(path)
    if name not in data:
        raise UserError(path, f"{name} is missing", "mend the key")
    return validate(whole_section(data, name), kind, name, path)


def load_entry(name: str, entry: str, kind: type[T], path: Path = PARAMS) -> T:
    """One entry of a section that is a dict of records, such as `corpora.lrs2`; only that entry is checked.

    Raises:
        UserError: as `load`, or there is no such entry.
    """
    data = read_yaml(path)
    section = data.get(name)
    if not isinstance(section, dict) or entry not in section:
        mend = f"take one of {', '.join(section)}" if isinstance(section, dict) else "mend the key"
        raise UserError(path, f"{name}.{entry} is missing", mend)
    return validate(whole_entry(data, name, entry), kind, f"{name}.{entry}", path)


def entry_names(name: str, path: Path = PARAMS) -> list[str]:
    """Names of the entries of a section that is a dict of records; the entries themselves are not looked at.

    Raises:
        UserError: the file or the section is missing, or the section holds no entries.
    """
    section = read_yaml(path).get(name)
    if not isinstance(section, dict) or not section:
        raise UserError(path, f"{name} holds no entries", "restore it with git")
    return [str(entry) for entry in section]
