"""Files that appear whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from synctalk.atomic import appearing, publish, write_json


def test_published_files_are_hard_links_that_replace_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "scratch" / "a", tmp_path / "out" / "deep" / "a"
    source.parent.mkdir()
    source.write_text("new")
    publish(source, target)
    assert target.stat().st_ino == source.stat().st_ino
    other = tmp_path / "scratch" / "b"
    other.write_text("newer")
    before = target.open()
    publish(other, target)
    assert target.read_text() == "newer"
    assert before.read() == "new"  # a reader of the old file is not disturbed
    before.close()
    assert source.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_where_links_are_refused_a_copy_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("content")
    publish(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "content"
    assert (tmp_path / "b").stat().st_ino != (tmp_path / "a").stat().st_ino


def test_two_writers_of_one_file_do_not_meet_and_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "b"
    with appearing(path) as one, appearing(path) as other:
        one.write_text("first")
        other.write_text("second")
        assert not path.exists()
    assert path.read_text() == "first"  # the outer block ends last
    with pytest.raises(UnicodeEncodeError), appearing(path) as failed:
        failed.write_text("half, then \udcff", encoding="utf-8")
    assert path.read_text() == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["b"]


def test_json_is_sorted_and_ends_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.json"
    write_json(path, {"b": {"z": 1, "a": 0.5}, "a": None})
    assert path.read_text() == '{\n  "a": null,\n  "b": {\n    "a": 0.5,\n    "z": 1\n  }\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text())["b"] == {"z": 1, "a": 0.5}
