"""The study on localhost: the page, its videos, and answers saved as they are given."""

from __future__ import annotations

import json
import re
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from synctalk.atomic import write_json
from synctalk.errors import UserError
from synctalk.study.answers import checksum, well_formed
from synctalk.study.build import PAGE, STUDY, VIDEOS

LIMIT = 1 << 20
"""Bytes of answers that are taken at a time; those to a hundred videos are a hundredth of it."""

HOSTS = ("127.0.0.1", "localhost")


class StudyServer(ThreadingHTTPServer):
    """Serves one study folder on 127.0.0.1, and writes each rater's answers to a file in `answers`."""

    daemon_threads = True

    def __init__(self, folder: Path, answers: Path, port: int) -> None:
        try:
            self.study: dict[str, Any] = json.loads((folder / STUDY).read_text(encoding="utf-8"))
            self.page = (folder / PAGE).read_bytes()
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(folder, "is no study", "give the folder that `synctalk study build` wrote") from error
        names = {name for rater in self.study["raters"].values() for name in rater["videos"]}
        self.videos = {f"/{VIDEOS}/{name}.mp4": folder / VIDEOS / f"{name}.mp4" for name in names}
        for path in self.videos.values():
            if not path.is_file():
                raise UserError(path, "is not there", "take the whole folder that `synctalk study build` wrote")
        self.answers = answers
        self.saving = threading.Lock()
        try:
            super().__init__((HOSTS[0], port), StudyHandler)
        except OSError as error:
            raise UserError(f"port {port}", f"cannot be had ({error.strerror})", "give another by --port") from error

    @property
    def url(self) -> str:
        return f"http://{HOSTS[0]}:{self.server_port}/"

    def answers_of(self, rater: str) -> Path:
        """The file of a rater who is known."""
        return self.answers / f"{rater}.json"

    def save(self, rater: str, answers: Any) -> tuple[HTTPStatus, str]:  # noqa: ANN401  # anything that JSON can say
        """Save a rater's answers, by way of a temporary file; say why not where they cannot be taken."""
        if not well_formed(answers) or answers["checksum"] != checksum(answers):
            return HTTPStatus.BAD_REQUEST, "no answers, or changed on the way"
        if answers["rater"] != rater or answers["study"] != self.study["study"]:
            return HTTPStatus.BAD_REQUEST, "answers of another rater or to another study"
        with self.saving:
            path = self.answers_of(rater)
            if path.exists():
                saved = len(json.loads(path.read_text(encoding="utf-8"))["answers"])
                if len(answers["answers"]) < saved:
                    return HTTPStatus.CONFLICT, f"{saved} answers are saved already; load the page again"
            write_json(path, answers)
        return HTTPStatus.OK, "saved"


class StudyHandler(BaseHTTPRequestHandler):
    """GET of the page, its videos and a rater's saved answers; POST of answers. Everything else is refused: paths are
    looked up in what the study names, and never joined.
    """

    server: StudyServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        if not self.from_here():
            return
        path = self.path.partition("?")[0]
        if path in ("/", f"/{PAGE}"):
            self.reply(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif path in self.server.videos:
            self.send_video(self.server.videos[path])
        elif (rater := self.rater()) is not None and self.server.answers_of(rater).is_file():
            self.reply(HTTPStatus.OK, self.server.answers_of(rater).read_bytes(), "application/json")
        else:
            self.say(HTTPStatus.NOT_FOUND, "not found")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.close_connection = True  # a body that was not read must not be taken for the next request
        if not self.from_here():
            return
        rater, length = self.rater(), self.headers.get("Content-Length", "")
        if rater is None:
            self.say(HTTPStatus.NOT_FOUND, "not found")
        elif self.headers.get_content_type() != "application/json":
            self.say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are JSON")
        elif not length.isdecimal():
            self.say(HTTPStatus.LENGTH_REQUIRED, "the length is missing")
        elif int(length) > LIMIT:
            self.say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {LIMIT} bytes")
        else:
            try:
                answers = json.loads(self.rfile.read(int(length)))
            except (ValueError, RecursionError):
                self.say(HTTPStatus.BAD_REQUEST, "no JSON")
                return
            self.say(*self.server.save(rater, answers))

    def from_here(self) -> bool:
        """Whether the request is meant for this server and comes from its own page; refused where not, so that no other
        page that the browser has open reads or writes answers.
        """
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        origin = self.headers.get("Origin")
        if host in HOSTS and origin in (None, f"http://{self.headers['Host']}"):
            return True
        self.say(HTTPStatus.FORBIDDEN, "only for this machine's own page")
        return False

    def rater(self) -> str | None:
        """The rater of `/answers/<rater>`; None for other paths and raters that the study does not know."""
        prefix, _, rater = self.path.rpartition("/")
        return rater if prefix == "/answers" and rater in self.server.study["raters"] else None

    def say(self, status: HTTPStatus, text: str) -> None:
        """Reply with a line of text."""
        self.reply(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def reply(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        """Reply with a body."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_video(self, path: Path) -> None:
        """A video, or the range of bytes that was asked for: players seek by it."""
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]), size - 1) if asked and asked[2] else size - 1
        if first > last:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command != "HEAD":
            with path.open("rb") as file:
                file.seek(first)
                for block in iter(partial(file.read, min(1 << 16, last - first + 1)), b""):
                    rest = last + 1 - (file.tell() - len(block))
                    if rest <= 0:
                        break
                    self.wfile.write(block[:rest])

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # a player that has seen enough hangs up

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401  # as in the base class
        """Say nothing of each request."""
