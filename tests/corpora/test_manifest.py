"""Manifests: one small file that tells of every change of a corpus, and is asked for when it is out of date."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import manifest as command
from synctalk.corpora.manifest import Changes, changes, require_current, take_manifest
from synctalk.corpora.params import CorpusParams
from synctalk.errors import UserError
from synctalk.params.read import read_yaml

FILES = ("train.txt", "main/b/00001.mp4", "main/b/00001.txt", "main/a/00002.mp4", "main/a/ö\n.mp4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mvlrs_v1"
    for number, name in enumerate(FILES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
        os.utime(path, (1e9 + number, 1e9 + number + 0.5))
    return root


def entry(root: Path, depends_on: Path) -> CorpusParams:
    return CorpusParams(
        root=str(root),
        depends_on=str(depends_on),
        layout="lrs2",
        detector="tracks",
        members=("mouth",),
        max_segment_s=0.0,
    )


def test_every_file_is_a_line_with_its_size_and_time(root: Path) -> None:
    rows = [json.loads(line) for line in take_manifest(root).splitlines()]
    assert rows == [
        ["train.txt", 0, 1000000000],
        ["main/a/00002.mp4", 3, 1000000003],
        ["main/a/ö\n.mp4", 4, 1000000004],
        ["main/b/00001.mp4", 1, 1000000001],
        ["main/b/00001.txt", 2, 1000000002],
    ]


def test_where_the_corpus_lies_and_what_is_hidden_change_nothing(root: Path) -> None:
    before = take_manifest(root)
    (root / ".DS_Store").touch()
    (root / "main/._00001.mp4").touch()
    (root / "empty").mkdir()
    moved = root.rename(root.with_name("elsewhere"))
    assert take_manifest(moved) == before


def touch(path: Path) -> None:
    os.utime(path, (2e9, 2e9))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "main/b/00009.mp4").touch(), Changes(1, 0, 0, "main/b/00009.mp4")),
        (lambda root: (root / "train.txt").unlink(), Changes(0, 1, 0, "train.txt")),
        (lambda root: touch(root / "main/b/00001.mp4"), Changes(0, 0, 1, "main/b/00001.mp4")),
        (lambda root: (root / "main/a").rename(root / "main/c"), Changes(2, 2, 0, "main/a/00002.mp4")),
        (lambda root: None, Changes(0, 0, 0, "")),
    ],
)
def test_changes_are_counted_and_one_is_named(root: Path, change: Callable[[Path], None], expected: Changes) -> None:
    before = take_manifest(root)
    change(root)
    assert changes(before, take_manifest(root)) == expected


def test_links_are_followed_and_one_that_leads_nowhere_is_said(root: Path, tmp_path: Path) -> None:
    (root / "pretrain").symlink_to(root / "main/b")
    (root / "main/c.mp4").symlink_to(tmp_path / "nothing")
    rows = {path: size for path, size, _ in map(json.loads, take_manifest(root).splitlines())}
    assert rows["pretrain/00001.txt"] == 2
    assert rows["main/c.mp4"] == -1


def test_a_loop_of_links_and_a_missing_root_are_one_line(root: Path) -> None:
    with pytest.raises(UserError, match="nowhere: cannot be read"):
        take_manifest(root / "nowhere")
    (root / "main/loop").symlink_to(root / "main")
    with pytest.raises(UserError, match="cannot be read"):
        take_manifest(root)


def test_stages_refuse_a_manifest_that_is_missing_or_out_of_date(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mvlrs_v1.jsonl"
    with pytest.raises(UserError, match=r"mvlrs_v1\.jsonl: is not there; run `python -m pipeline\.manifest`"):
        require_current("lrs2", entry(root, path), root)
    path.write_text(take_manifest(root))
    require_current("lrs2", entry(root, path), root)
    touch(root / "train.txt")
    with pytest.raises(UserError, match=r"out of date: 0 new, 0 gone and 1 altered files, such as train\.txt; run "):
        require_current("lrs2", entry(root, path), root)


def test_a_root_that_is_watched_itself_needs_none(root: Path) -> None:
    require_current("lrs2", entry(root, root), root)
    with pytest.raises(UserError, match=r"corpora\.lrs2\.depends_on is .*other"):
        require_current("lrs2", entry(root, root / "other"), root)


def test_the_command_writes_those_that_params_name_and_says_what_changed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = read_yaml(Path("params.yaml"))
    params["corpora"]["lrs2"] |= {"root": str(root), "depends_on": "corpora/lrs2.jsonl"}
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps(params))
    command.main()
    assert Path("corpora/lrs2.jsonl").read_text() == take_manifest(root)
    assert capsys.readouterr().out.startswith("lrs2: 5 files in corpora/lrs2.jsonl; 5 new, 0 gone")
    touch(root / "train.txt")
    command.main()
    assert "0 new, 0 gone and 1 altered files, such as train.txt" in capsys.readouterr().out
