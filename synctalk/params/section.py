"""`@section`: the records that params.yaml is made of.

Plain frozen dataclasses, so that models and training need nothing but torch; `synctalk.params.read` validates them with
pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def section(cls: type[T]) -> type[T]:
    """Frozen, keyword-only dataclass whose unknown or missing keys are errors when it is read from params.yaml."""
    cls.__pydantic_config__ = {"extra": "forbid", "strict": True}  # type: ignore[attr-defined]  # pydantic's hook
    return dataclass(frozen=True, kw_only=True)(cls)
