"""The form of params.yaml outlives DVC, which spreads lists over lines when an experiment sets a key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from root import ROOT

from pipeline.check import lists_on_one_line, tidy
from pipeline.scale import apply_scale

FILES = ("params.yaml", "data/synthetic/params.yaml")


def test_lists_are_put_back_on_one_line_with_what_dvc_moved() -> None:
    spread = "a:\n  b:        # one\n\n# two\n  - x\n  - 1.5\n  c: 3 # three\n"
    others = "d:\n- it's\ne: {f: [1, 2]}\ng:\n  h: '#' # four\n"
    assert lists_on_one_line(spread + others) == "a:\n  b: [x, 1.5]  # one\n\n# two\n  c: 3  # three\n" + others


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_an_experiment_changes_a_line_and_nothing_else(scale: str, tmp_path: Path) -> None:
    from dvc.utils.hydra import apply_overrides

    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    apply_scale(scale, tmp_path)
    for name, key, value in ((FILES[0], "generator_seed", "2"), (FILES[1], "lrs3.crf", "30")):
        path = tmp_path / name
        tidy(path)
        before = path.read_text().splitlines()
        apply_overrides(str(path), [f"{key}={value}"])
        assert path.read_text().splitlines() != before
        tidy(path)
        after = path.read_text().splitlines()
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert [new.split("#")[0].strip() for _, new in changed] == [f"{key.split('.')[-1]}: {value}"]


def test_a_file_that_is_no_yaml_is_left_to_the_check(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    tidy(path)
    path.write_text("a:\n- 1\nb: [\n")
    tidy(path)
    assert path.read_text() == "a:\n- 1\nb: [\n"


@pytest.mark.parametrize("name", FILES)
def test_the_committed_files_have_that_form(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert lists_on_one_line(text) == text
