"""Rows that say only what they differ in are read as whole ones."""

from __future__ import annotations

from typing import Any

import pytest

from synctalk.errors import UserError
from synctalk.params.rows import laid_over, whole_entry, whole_section

DATA: dict[str, Any] = {
    "adam": {"slow": {"beta1": 0.9, "warmup": 0.1}, "fast": {"beta1": 0.5}},
    "net": {"optim": {"adam": "slow", "steps": 320, "lr": 0.1}, "size": 3},
    "methods": {
        "base": {"network": "a", "weights": {"x": 1.0, "y": 2.0}},
        "other": {"network": "b", "weights": {"y": 0.0, "z": 5.0}},
        "mine": {"optim": {"adam": "none"}},
    },
}


def test_a_row_is_laid_over_deeply_and_lists_are_values() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert laid_over(base, {"a": {"c": [9]}, "e": {}}) == {"a": {"b": 1, "c": [9]}, "d": 3, "e": {}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


def test_an_optimizer_has_the_settings_that_it_names_and_its_own_win() -> None:
    whole = {"beta1": 0.9, "steps": 320, "lr": 0.1, "warmup_steps": 32}
    assert whole_section(DATA, "net") == {"optim": whole, "size": 3}
    own = {**DATA, "net": {"optim": {"adam": "slow", "steps": 320, "beta1": 0.1, "warmup_steps": 7}}}
    assert whole_section(own, "net")["optim"] == {"beta1": 0.1, "steps": 320, "warmup_steps": 7}
    fast = {**DATA, "net": {"optim": {"adam": "fast", "steps": 320}}}
    assert whole_section(fast, "net")["optim"] == {"beta1": 0.5, "steps": 320}
    assert whole_section(DATA, "adam") == DATA["adam"]


def test_a_method_is_what_it_differs_in_from_base() -> None:
    other = {"network": "b", "weights": {"x": 1.0, "y": 0.0, "z": 5.0}}
    assert whole_entry(DATA, "methods", "other") == other
    assert whole_entry(DATA, "methods", "base") == DATA["methods"]["base"]
    fewer = {**DATA, "methods": {name: DATA["methods"][name] for name in ("base", "other")}}
    assert whole_section(fewer, "methods") == {"base": DATA["methods"]["base"], "other": other}


@pytest.mark.parametrize(
    ("optim", "line"),
    [
        ({"adam": "slwo", "steps": 1}, r"net\.optim\.adam 'slwo' is no entry of adam; take one of slow, fast"),
        ({"adam": ["slow"]}, r"net\.optim\.adam \['slow'\] is no entry of adam; take one of slow, fast"),
        ({"steps": 1}, r"net\.optim\.adam is missing; take one of slow, fast"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_choices(optim: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^params.yaml: {line}$"):
        whole_section({**DATA, "net": {"optim": optim}}, "net")
    with pytest.raises(UserError, match=r"methods\.mine\.optim\.adam 'none' is no entry of adam"):
        whole_entry(DATA, "methods", "mine")
    assert whole_entry(DATA, "methods", "other")  # the others are not looked at
