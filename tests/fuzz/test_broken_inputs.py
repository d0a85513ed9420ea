"""Broken inputs of every kind: no crash, no hang, no file lost; each is refused with a reason, or its damage shows in
nothing that is read.

A few of each run by default; the whole set, with its counts, by `pytest -m slow tests/fuzz -s`.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzz.broken import Broken, cut, videos, whole_videos
from fuzz.families import families
from fuzz.trial import READ, stages_on, try_all

from synctalk.errors import ClipError, Reason, UserError

WHOLE, SOME = 3, 1
CLOSED_SET = {READ, "UserError", *(reason.value for reason in Reason)}
HOPELESS = ("no video", "zero frames", "no audio", "one frame", "params no YAML", "text encoding")
"""Kinds of which none can be used."""
MAY_BE_EMPTY = ("manifest", "filelist")
"""A manifest of no files, a list of no pairs."""


@pytest.fixture
def one_clip_at_most_10_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SYNCTALK_CLIP_LIMIT_S", "10")
    monkeypatch.setenv("SYNCTALK_WORKERS", "2")
    monkeypatch.setattr("synctalk.runtime.scratch.STATE_DIR", tmp_path / "state")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(counts: Counter[tuple[str, str]]) -> None:
    assert {outcome for _, outcome in counts} <= CLOSED_SET


def table(counts: Counter[tuple[str, str]]) -> str:
    """Lines `kind: how many (outcome how many, ...)`."""
    kinds: dict[str, Counter[str]] = {}
    for (kind, outcome), number in sorted(counts.items()):
        kinds.setdefault(kind, Counter())[outcome] += number
    return "\n".join(
        f"{kind}: {found.total()} ({', '.join(f'{name} {n}' for name, n in found.most_common())})"
        for kind, found in kinds.items()
    )


def hopeless(kind: str) -> bool:
    """Whether an input of this kind can never be read."""
    family, _, how = kind.partition(" ")
    return kind in HOPELESS or how == "noise" or (how == "empty" and family not in MAY_BE_EMPTY)


def test_some_broken_footage_through_the_stages(one_clip_at_most_10_s: Path) -> None:
    counts = stages_on(one_clip_at_most_10_s, videos(SOME)[::2])
    check(counts)


def test_some_broken_files_of_every_kind(tmp_path: Path) -> None:
    for name, family in families(tmp_path / "whole", SOME).items():
        check(try_all(family.use, family.inputs[::3], tmp_path / name))


@pytest.mark.slow
def test_five_hundred_broken_inputs(one_clip_at_most_10_s: Path) -> None:
    folder = one_clip_at_most_10_s
    counts = stages_on(folder, videos(WHOLE))
    # sound footage passes all stages: what is refused below is refused for its damage
    assert counts["whole", READ] == sum(n for (kind, _), n in counts.items() if kind == "whole") == len(whole_videos())
    for name, family in families(folder / "whole", WHOLE).items():
        counts += try_all(family.use, family.inputs, folder / name)
    check(counts)
    assert {kind for kind, outcome in counts if outcome == READ and hopeless(kind)} == set()
    n_whole, n_read = counts["whole", READ], sum(n for (_, outcome), n in counts.items() if outcome == READ)
    total = counts.total() - n_whole
    print(f"\n{table(counts)}\n{total} broken inputs, of which {n_read - n_whole} are read all the same")
    assert total >= 500


# the set itself


def test_the_set_is_the_same_every_time() -> None:
    assert videos(1) == videos(1)


def raises(path: Path) -> None:
    raise ZeroDivisionError(path.name)


def hangs(path: Path) -> None:
    while True:
        pass


def crashes(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def changes(path: Path) -> None:
    path.write_bytes(b"")


def says_two_lines(path: Path) -> None:
    raise UserError(path, "a\nb")


def rejects(path: Path) -> None:
    raise ClipError(Reason.NO_FACE, "none")


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (raises, "ZeroDivisionError: x"),
        (hangs, "took longer than"),
        (crashes, "died of SIGKILL"),
        (changes, "the input was changed"),
        (says_two_lines, "2 lines"),
    ],
)
def test_a_defect_is_found(use: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.trial.LIMIT_S", 1.0)
    with pytest.raises(AssertionError, match=says):
        try_all(use, [Broken("kind", 0, "x", b"1")], tmp_path)  # type: ignore[arg-type]


def test_a_refusal_is_counted(tmp_path: Path) -> None:
    assert try_all(rejects, [Broken("kind", 0, "x", b"1")], tmp_path) == {("kind", "no_face"): 1}


def test_what_is_cut_is_shorter() -> None:
    data = bytes(np.arange(200, dtype=np.uint8))
    assert all(0 < len(cut(data, random.Random(seed))) < 200 for seed in range(50))
