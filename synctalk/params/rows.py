"""Rows of params.yaml that say only what they differ in: `optim` from its entry of `adam`, methods from `base`."""

from __future__ import annotations

from typing import Any

from synctalk.errors import UserError

PARAMS_NAME = "params.yaml"


def laid_over(base: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `row` instead of its own, deeply; lists are values."""
    return base | {
        key: laid_over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in row.items()
    }


def whole_section(data: dict[str, Any], name: str) -> Any:  # noqa: ANN401  # whatever YAML can hold
    """Section `name` of params.yaml, every row of it whole.

    Raises:
        UserError: a row names no entry of `adam`.
    """
    section = data[name]
    if name == "methods" and isinstance(section, dict):
        section = {entry: _whole_method(section, entry) for entry in section}
    return _with_adam(section, data.get("adam"), str(name))


def whole_entry(data: dict[str, Any], name: str, entry: str) -> Any:  # noqa: ANN401  # whatever YAML can hold
    """Entry `entry` of section `name`, as `whole_section` has it; the others are not looked at."""
    section = data[name]
    row = _whole_method(section, entry) if name == "methods" else section[entry]
    return _with_adam(row, data.get("adam"), f"{name}.{entry}")


def _whole_method(methods: dict[str, Any], name: str) -> Any:  # noqa: ANN401  # a row, or what is there instead
    base, row = methods.get("base"), methods[name]
    return laid_over(base, row) if isinstance(base, dict) and isinstance(row, dict) else row


def _with_adam(value: Any, adam: Any, where: str) -> Any:  # noqa: ANN401  # whatever YAML can hold
    """`value` with every `optim` in it whole."""
    if not isinstance(value, dict):
        return value
    found = {key: _with_adam(inner, adam, f"{where}.{key}") for key, inner in value.items()}
    if not where.endswith(".optim"):
        return found
    settings, name = adam if isinstance(adam, dict) else {}, found.pop("adam", None)
    if not isinstance(name, str) or not isinstance(settings.get(name), dict):
        reason = f"{where}.adam {name!r} is no entry of adam" if name is not None else f"{where}.adam is missing"
        raise UserError(PARAMS_NAME, reason, f"take one of {', '.join(map(str, settings))}")
    return _with_warmup(settings[name] | found, where)


def _with_warmup(row: dict[str, Any], where: str) -> dict[str, Any]:
    """The share `warmup` in steps, unless the row says steps itself.

    Raises:
        UserError: a row that has no `steps` leaves `warmup_steps` to the share.
    """
    share, steps = row.pop("warmup", None), row.get("steps")
    if not share or "warmup_steps" in row:
        return row
    if steps is None:
        raise UserError(PARAMS_NAME, f"{where}.warmup_steps is missing", "give it: the row has no steps to share in")
    return row | ({"warmup_steps": round(share * steps)} if isinstance(steps, int) else {})
