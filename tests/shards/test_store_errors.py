"""Reading of bytes: which error is tried again, for how long, and the line that each ends with."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from synctalk.errors import UserError
from synctalk.shards import store
from synctalk.shards.store import ByteRange, is_url, join, read_file, read_ranges

URL = "https://host/shards"


class AnswerError(Exception):
    """An answer of a web server, as aiohttp raises it."""

    def __init__(self, status: object) -> None:
        super().__init__(f"answer {status}")
        self.status = status


class NoCredentialsError(Exception):
    """Of the name that botocore's has."""


class PartialCredentialsError(Exception):
    """As well."""


def error_of(module: str) -> Exception:
    """An error of a class that lies in `module`."""
    return type("OtherError", (Exception,), {"__module__": module})(module)


def client_error(code: str) -> Exception:
    """An error of S3, as s3fs translates it: the answer is with its cause."""
    error, cause = OSError(errno.EINVAL, "range"), Exception()
    cause.response = {"Error": {"Code": code}}  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(store.time, "sleep", waited.append)
    return waited


def answers(monkeypatch: pytest.MonkeyPatch, *rounds: list[bytes | Exception]) -> list[list[ByteRange]]:
    """Let the network answer these, round after round; what it is asked for."""
    asked: list[list[ByteRange]] = []
    left = list(rounds)

    def fetch(ranges: list[ByteRange]) -> list[bytes | Exception]:
        asked.append(list(ranges))
        return left.pop(0)

    monkeypatch.setattr(store, "_fetch", fetch)
    return asked


def test_a_url_has_a_scheme_and_keeps_its_slashes() -> None:
    assert [is_url(x) for x in ("s3://a/b", "file:///a", "/a/b", "a", Path("s3:/a"))] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert join("s3://a/b/", "x.tar") == join("s3://a/b", "x.tar") == "s3://a/b/x.tar"
    assert join("a/b/", "x.tar") == join(Path("a/b"), "x.tar") == Path("a/b/x.tar")


def test_ranges_of_a_file_end_where_it_ends(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    wanted = [ByteRange(tmp_path / "x", *pair) for pair in ((0, 3), (3, 4), (8, 9), (10, 1), (20, 5), (2, 0))]
    assert read_ranges(wanted) == [b"012", b"3456", b"89", b"", b"", b""]
    assert read_ranges([]) == []
    assert read_file(tmp_path / "x") == read_file(f"file://{tmp_path}/x") == b"0123456789"


def test_files_and_urls_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(bytes(range(100)))
    monkeypatch.setattr(store, "PIECE_BYTES", 30)
    mixed = [
        ByteRange(f"file://{tmp_path}/x", 5, 90),
        ByteRange(tmp_path / "x", 0, 60),
        ByteRange(f"file://{tmp_path}/x", 99, 1),
    ]
    assert read_ranges(mixed) == [bytes(range(5, 95)), bytes(range(60)), bytes([99])]


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(0, []), (1, [(7, 1)]), (10, [(7, 10)]), (11, [(7, 10), (17, 1)]), (30, [(7, 10), (17, 10), (27, 10)])],
)
def test_pieces_cover_a_range_once(size: int, pieces: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PIECE_BYTES", 10)
    assert store._pieces(ByteRange(URL, 7, size)) == [ByteRange(URL, *piece) for piece in pieces]


def test_what_failed_is_asked_for_again_after_twice_the_time(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, lost = AnswerError(503), ConnectionResetError()
    asked = answers(monkeypatch, [b"a", busy, lost], [busy, b"c"], [lost], [busy], [b"b"])
    wanted = [ByteRange(URL, number, 1) for number in range(3)]
    assert store._patiently(wanted) == [b"a", b"b", b"c"]
    assert asked == [wanted, wanted[1:], *[[wanted[1]]] * 3]
    assert waits == [0.5, 1, 2, 4]


def test_five_tries_are_all(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, *[[AnswerError(500)]] * 5)
    with pytest.raises(UserError, match=r"cannot be read \(answer 500\)"):
        store._patiently([ByteRange(URL, 0, 1)])
    assert (len(asked), len(waits)) == (5, 4)


@pytest.mark.parametrize(
    "error",
    [
        *(AnswerError(status) for status in (408, 425, 429, 500, 502, 599)),
        TimeoutError(), ConnectionResetError(), OSError(errno.EIO, "i/o"), OSError("no number"),
        *map(error_of, ("aiohttp.client", "aiobotocore.x", "asyncio", "botocore.exceptions", "fsspec.core")),
    ],
    ids=repr,
)  # fmt: skip
def test_what_may_succeed_in_a_moment_is_tried_again(error: Exception) -> None:
    assert store._by_chance(error)


@pytest.mark.parametrize(
    "error",
    [
        *(AnswerError(status) for status in (400, 401, 403, 404, 407, 410, 426, 499)),
        *(OSError(number, "x") for number in store._LASTING), FileNotFoundError(), PermissionError(),
        NoCredentialsError(), PartialCredentialsError(), ValueError(), AnswerError("gone"), error_of("botocores"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_lasts_is_not_tried_again(error: Exception, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, [error])
    with pytest.raises(UserError):
        store._patiently([ByteRange(URL, 0, 1)])
    assert (len(asked), waits) == (1, [])


@pytest.mark.parametrize("error", [AnswerError(416), client_error("InvalidRange")], ids=repr)
def test_a_range_beyond_the_end_is_empty(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, [error, b"x"])
    assert store._patiently([ByteRange(URL, 9, 1), ByteRange(URL, 0, 1)]) == [b"", b"x"]


def test_other_errors_of_s3_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, [client_error("SlowDown")])
    with pytest.raises(UserError, match=r"cannot be read \(range\)"):
        store._patiently([ByteRange(URL, 9, 1)])


def test_more_bytes_than_were_asked_for_are_a_server_without_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, [b"xy"], [b"x"], [b""], [b"the whole"])
    with pytest.raises(UserError, match="sends whole files where a range of bytes is asked for; use one that answers"):
        store._patiently([ByteRange(URL, 0, 1)])
    assert store._patiently([ByteRange(URL, 0, 1)]) == [b"x"]
    assert store._patiently([ByteRange(URL, 0, 1)]) == [b""]
    assert store._patiently([ByteRange(URL, 0, -1)]) == [b"the whole"]


@pytest.mark.parametrize(
    ("error", "of_url", "of_file"),
    [
        (FileNotFoundError(), "is not there; upload the folder of shards", "is not there; run `dvc repro`"),
        (
            PermissionError(), "access is denied; give credentials that may read it",
            "access is denied; ask its owner for the right to read it",
        ),
        (
            OSError(errno.EIO, "input  and\noutput"),
            "cannot be read (input and output); what is done is kept: run again when the network is back",
            "cannot be read (input and output); look at the disk",
        ),
        (
            TimeoutError(), "cannot be read (TimeoutError); what is done is kept: run again when the network is back",
            "cannot be read (TimeoutError); look at the disk",
        ),
        (
            ValueError("odd"), "cannot be read (odd); what is done is kept: run again when the network is back",
            "cannot be read (odd); look at the disk",
        ),
    ],
)  # fmt: skip
def test_the_line_of_each_error(error: Exception, of_url: str, of_file: str) -> None:
    assert str(store._complaint(URL, error)) == f"{URL}: {of_url}"
    assert str(store._complaint(Path("a/x.tar"), error)) == f"a/x.tar: {of_file}"


def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path: Path) -> None:
    for read in (read_file, lambda path: read_ranges([ByteRange(path, 0, 1)])):
        with pytest.raises(UserError, match=r"x\.tar: is not there; run `dvc repro`"):
            read(tmp_path / "x.tar")
        with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); look at the disk"):
            read(tmp_path)


def test_without_fsspec_or_its_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"nonsense://b/x: .*nonsense.*; s3:// needs `pip install s3fs`"):
        read_file("nonsense://b/x")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UserError, match=r"memory://x: needs fsspec; pip install fsspec, and s3fs for s3://"):
        read_file("memory://x")
