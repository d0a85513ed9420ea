"""Lock files that a kill left half written are found, and whole ones take their place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from voluptuous import Invalid

from pipeline import mend
from synctalk.doctor import State, check_locks
from synctalk.runtime import lock_files

pytestmark = pytest.mark.cluster
PIPELINE = """stages:
  first:
    cmd: echo 1 > one
    outs: [one]
  second:
    cmd: cp one two
    deps: [one]
    outs: [two]
"""
LOCK = Path("dvc.lock")


def dvc(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two stages that have run."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("dvc.yaml").write_text(PIPELINE)
        git("init", "-q")
        assert dvc("init", "-q").returncode == 0
        assert dvc("repro", "-q").returncode == 0
    return folder


@pytest.fixture
def finished(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A copy of the project to work in; the text of its lock file."""
    monkeypatch.chdir(shutil.copytree(project, tmp_path / "project"))
    return LOCK.read_bytes()


def test_whole_files_stay_as_they_are(finished: bytes) -> None:
    lock_files.keep_locks()
    mend.main()
    assert LOCK.read_bytes() == finished
    assert check_locks().state is State.OK


def stages_that_dvc_reads(text: bytes) -> dict[str, object]:
    try:
        read = COMPILED_LOCKFILE_SCHEMA(parse_yaml(text.decode(), str(LOCK)))
    except (YAMLFileCorruptedError, Invalid):
        return {}
    return dict(read.get("stages") or {})


def test_what_dvc_cannot_read_is_broken_wherever_it_was_cut_off(finished: bytes) -> None:
    differ = []
    for length in range(len(finished) + 1):
        LOCK.write_bytes(finished[:length])
        readable = bool(stages_that_dvc_reads(finished[:length]))
        assert readable or not lock_files.is_whole(LOCK), finished[:length]
        differ += [finished[:length]] if readable and not lock_files.is_whole(LOCK) else []
    # "- path: on", which is a truth value in YAML 1.1
    assert {text.rsplit(maxsplit=1)[-1] for text in differ} == {b"on"}


def test_dvc_refuses_what_we_call_broken_and_runs_after_mending(finished: bytes) -> None:
    lock_files.keep_locks()
    LOCK.write_bytes(b"")
    assert dvc("repro").returncode != 0
    assert check_locks().state is State.FAIL
    assert check_locks().mend == "python -m pipeline.mend"
    mend.main()
    assert LOCK.read_bytes() == finished
    assert "up to date" in dvc("repro").stdout
    assert (lock_files.KEPT / "dvc.lock.broken").read_bytes() == b""


def test_without_a_copy_the_commits_file_comes_back_and_without_a_commit_none(finished: bytes) -> None:
    git("add", "-A")
    git("commit", "-qm", "first")
    LOCK.write_bytes(finished[:30])
    assert "as the last commit has it" in lock_files.mend_locks()[0]
    assert LOCK.read_bytes() == finished
    git("rm", "-q", "--cached", "dvc.lock")
    git("commit", "-qm", "second")
    LOCK.write_bytes(b"schema: '2.0'\nstages:\n  fir")
    assert "without it" in lock_files.mend_locks()[0]
    assert not LOCK.exists()
    assert dvc("repro", "-q").returncode == 0
    assert LOCK.read_bytes() == finished


def test_a_list_of_workers_that_was_cut_off_goes(finished: bytes) -> None:
    lock_files.RWLOCK.write_text('{"write": {')
    assert dvc("repro", "--force").returncode != 0
    mend.main()
    assert dvc("repro", "--force").returncode == 0


def test_nothing_is_mended_while_dvc_writes(finished: bytes) -> None:
    from dvc.repo import Repo

    from synctalk.errors import UserError

    LOCK.write_bytes(b"")
    with Repo().lock, pytest.raises(UserError, match="another DVC is at work"):
        mend.main()
    assert LOCK.read_bytes() == b""


def test_outside_a_checkout_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synctalk.errors import UserError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is no checkout"):
        mend.main()
