"""Our own files of weights: safetensors whose header says what network they are for.

All of the header stands under one name as sorted JSON, since safetensors writes several names in any order: the same
weights give the same bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import safetensors
import safetensors.torch
from torch import Tensor

from synctalk.errors import UserError

HEADER = "synctalk"
C = TypeVar("C")


def write_safetensors(path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write `state` and a JSON header, whole or not at all; the same content gives the same bytes."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    write_whole(path, safetensors.torch.save(tensors, metadata={HEADER: json.dumps(header, sort_keys=True)}))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and our header (empty where another program wrote the file).

    Raises:
        UserError: truncated or damaged.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            return {key: file.get_tensor(key) for key in file.keys()}, json.loads(metadata.get(HEADER, "{}"))  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as error:
        raise UserError(path, f"truncated or damaged ({error})", "fetch it again") from error


def read_header(path: Path) -> dict[str, Any]:
    """Our header alone, no tensors; empty where another program wrote the file.

    Raises:
        UserError: truncated or damaged.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {}).get(HEADER, "{}"))
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as error:
        raise UserError(path, f"truncated or damaged ({error})", "fetch it again") from error
    return header


def config_from_json(kind: type[C], values: Mapping[str, Any]) -> C:
    """The section whose `dataclasses.asdict` was written.

    Raises:
        ValueError: a key that the section does not have.
    """
    hints = get_type_hints(kind)
    unknown = set(values) - {field.name for field in fields(kind)}  # type: ignore[arg-type]  # always a section
    if unknown:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)}")

    def restore(name: str, value: object) -> object:
        if is_dataclass(hints[name]) and isinstance(value, Mapping):
            return config_from_json(hints[name], value)
        return tuple(value) if isinstance(value, list) else value

    return kind(**{name: restore(name, value) for name, value in values.items()})
