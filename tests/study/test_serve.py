"""The server: what it gives out, what it saves, and all that it refuses."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from study.small_study import signed, small_build

from synctalk.errors import UserError
from synctalk.study.serve import LIMIT, StudyServer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    small_build(root, n_videos=6, n_raters=2)
    return root / "study"


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[StudyServer]:
    with StudyServer(folder, tmp_path / "answers", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Reply = tuple[int, dict[str, str], bytes]


def ask(server: StudyServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    """A request as it is written down: no client normalises its path."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, sent)
    reply = connection.getresponse()
    found = reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    connection.close()
    return found


def answers(server: StudyServer, n: int = 1, rater: str | None = None) -> dict[str, Any]:
    rater = rater or next(iter(server.study["raters"]))
    share = server.study["raters"][rater]
    rows = [{"video": name, "intelligibility": 4, "sync": 3, "authenticity": 5} for name in share["videos"][:n]]
    return signed({"study": server.study["study"], "rater": rater, "assignment": share["assignment"], "saved": "2026",
                   "complete": False, "answers": rows})  # fmt: skip


def post(server: StudyServer, content: object, rater: str | None = None, **headers: str) -> Reply:
    rater = rater or next(iter(server.study["raters"]))
    return ask(server, "POST", f"/answers/{rater}", json.dumps(content).encode(),
               **{"Content_Type": "application/json"} | headers)  # fmt: skip


def saved(server: StudyServer) -> list[str]:
    return sorted(path.name for path in server.answers.iterdir()) if server.answers.exists() else []


def test_it_listens_on_this_machine_only(server: StudyServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_the_page_and_its_videos_are_those_of_the_folder(server: StudyServer, folder: Path) -> None:
    status, headers, page = ask(server, "GET", "/?rater=x")
    assert (status, page) == (200, (folder / "index.html").read_bytes())
    assert headers["content-type"] == "text/html; charset=utf-8"
    for path in (folder / "videos").iterdir():
        status, headers, video = ask(server, "GET", f"/videos/{path.name}")
        assert (status, video, headers["content-type"]) == (200, path.read_bytes(), "video/mp4")


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=0-0", 0, 0), ("bytes=5-99", 5, 99), ("bytes=7-", 7, None)]
)
def test_parts_of_a_video(server: StudyServer, folder: Path, asked: str, first: int, last: int | None) -> None:
    path = next((folder / "videos").iterdir())
    whole = path.read_bytes()
    last = len(whole) - 1 if last is None else last
    status, headers, part = ask(server, "GET", f"/videos/{path.name}", Range=asked)
    assert (status, part) == (206, whole[first : last + 1])
    assert headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    assert ask(server, "GET", f"/videos/{path.name}", Range=f"bytes={len(whole)}-")[0] == 416
    assert ask(server, "HEAD", f"/videos/{path.name}")[2] == b""


@pytest.mark.parametrize(
    "path",
    [
        "/../key.json", "/videos/../../key.json", "/videos/..%2f..%2fkey.json", "//etc/passwd", "/%2e%2e/key.json",
        "/study.json", "/videos/", "/videos", "/answers/", "/answers/../key.json", "/answers/nobody", "/key.json",
        "/videos/0000000000000000.mp4", "/answers/..%2fkey", "http://127.0.0.1/key.json",
    ],
)  # fmt: skip
def test_nothing_else_is_given_out(server: StudyServer, folder: Path, path: str) -> None:
    assert (folder.parent / "key.json").is_file()
    status, _, body = ask(server, "GET", path)
    assert (status, body) == (404, b"not found\n")
    assert ask(server, "POST", path, b"{}", Content_Type="application/json")[0] == 404
    assert saved(server) == []


def test_answers_are_saved_by_rater_and_given_back(server: StudyServer) -> None:
    one, two = server.study["raters"]
    first, second = answers(server), answers(server, 2, two)
    assert ask(server, "GET", f"/answers/{one}")[0] == 404
    assert post(server, first)[0] == post(server, second, two)[0] == 200
    assert saved(server) == [f"{one}.json", f"{two}.json"]
    assert json.loads(ask(server, "GET", f"/answers/{one}")[2]) == first
    assert post(server, answers(server, 3))[0] == 200
    assert len(json.loads(ask(server, "GET", f"/answers/{one}")[2])["answers"]) == 3


def test_an_old_tab_does_not_take_answers_away(server: StudyServer) -> None:
    assert post(server, answers(server, 3))[0] == 200
    status, _, text = post(server, answers(server, 2))
    assert (status, text) == (409, b"3 answers are saved already; load the page again\n")
    changed = answers(server, 3)
    changed["answers"][0]["sync"] = 1
    assert post(server, signed(changed))[0] == 200  # as many, but thought over


def test_a_kill_in_the_middle_leaves_the_old_answers(server: StudyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    rater = next(iter(server.study["raters"]))
    assert post(server, answers(server, 1))[0] == 200
    before = server.answers_of(rater).read_bytes()

    def fail(*_: object) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            post(server, answers(server, 2))
    assert server.answers_of(rater).read_bytes() == before
    assert post(server, answers(server, 2))[0] == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content | {"checksum": "00000000"},
        lambda content: signed(content | {"study": "f" * 64}),
        lambda content: signed(content | {"rater": "02-bbb"}),
        lambda content: {key: value for key, value in content.items() if key != "answers"},
        lambda content: content | {"answers": [3]},
        lambda content: [content],
        lambda content: None,
    ],
)
def test_what_is_no_answer_of_this_rater_is_not_saved(server: StudyServer, change) -> None:
    assert post(server, change(answers(server)))[0] == 400
    assert saved(server) == []


def test_what_is_no_json_is_not_saved(server: StudyServer) -> None:
    rater = next(iter(server.study["raters"]))
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        assert ask(server, "POST", f"/answers/{rater}", body, Content_Type="application/json")[0] == 400
    assert ask(server, "POST", f"/answers/{rater}", b"{}", Content_Type="text/plain")[0] == 415
    assert saved(server) == []


def test_bodies_have_a_limit(server: StudyServer) -> None:
    rater = next(iter(server.study["raters"]))
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest("POST", f"/answers/{rater}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(LIMIT + 1))
    connection.endheaders()  # and no body: it is refused before it is sent
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (413, b"more than 1048576 bytes\n")
    connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest("POST", f"/answers/{rater}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_other_pages_and_other_names_are_refused(server: StudyServer) -> None:
    port = server.server_port
    assert ask(server, "GET", "/", Host=f"evil.example:{port}")[0] == 403  # a name that was turned to this machine
    assert post(server, answers(server), Origin="http://evil.example")[0] == 403
    assert post(server, answers(server), Origin="null")[0] == 403
    assert saved(server) == []
    assert ask(server, "GET", "/", Host=f"localhost:{port}")[0] == 200
    assert post(server, answers(server), Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_what_is_no_study_is_one_line(tmp_path: Path, folder: Path, server: StudyServer) -> None:
    with pytest.raises(UserError, match="is no study"):
        StudyServer(tmp_path, tmp_path, 0)
    with pytest.raises(UserError, match=rf"port {server.server_port}: cannot be had"):
        StudyServer(folder, tmp_path, server.server_port)
