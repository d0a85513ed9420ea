"""Shards small enough for unit tests, and servers on this machine that hand them out."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from synctalk.corpora.records import Clip
from synctalk.shards.mosaic import encode_mosaic
from synctalk.shards.records import Crop, npy
from synctalk.shards.write import write_shards


def write_small_shards(folder: Path, n_samples: int, *, split: str = "train", shard_bytes: int = 40_000) -> Path:
    """`n_samples` clips of 2 to 6 frames that know their number, in shards of a few clips."""
    rng = np.random.default_rng(n_samples)
    samples = []
    for number in range(n_samples):
        n_frames = 2 + number % 5
        clip_id = f"main/{number:04d}/00001"
        clip = Clip(clip_id, str(number), split, f"{clip_id}.mp4", f"{clip_id}.mp4", f"number {number}")
        crop = Crop(
            id=clip_id,
            clip=clip_id,
            start=0,
            audio_start=0,
            n_frames=n_frames,
            frame_height=160,
            frame_width=160,
            boxes=np.full((n_frames, 4), number, np.int32),
            mouth_transforms=np.zeros((n_frames, 2, 3), np.float32),
            faces=b"",
            mouth=encode_mosaic(rng.integers(0, 255, (n_frames, 16, 16), np.uint8), 90),
        )
        samples.append((clip, crop, {"fbank": npy(np.full((n_frames, 104), number, np.float32))}))
    write_shards(folder, samples, max_bytes=shard_bytes)
    return folder


class Handler(SimpleHTTPRequestHandler):
    """Files of the server's folder, byte ranges included; counts what it is asked for and fails when told to."""

    protocol_version = "HTTP/1.1"
    ranges = True
    statuses: list[int]
    """Answers of the next requests, before it behaves; 0 stands for a body that breaks off."""
    asked: list[tuple[str, str]]
    """Path and Range header of every request for content."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.asked.append((self.path, wanted))
        broken = self.statuses.pop(0) if self.statuses else None
        path = Path(self.translate_path(self.path))
        if broken or not path.is_file():
            self.send_error(broken or 404)
            return
        blob, status = path.read_bytes(), 200
        if wanted and self.ranges:
            start, end = (int(number) for number in re.fullmatch(r"bytes=(\d+)-(\d+)", wanted).groups())
            if start >= len(blob):
                self.send_error(416)
                return
            blob, status = blob[start : end + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(blob)))
        self.end_headers()
        self.wfile.write(blob[: len(blob) // 2] if broken == 0 else blob)
        if broken == 0:
            self.close_connection = True


@contextmanager
def http_server(folder: Path, *, ranges: bool = True) -> Iterator[tuple[str, type[Handler]]]:
    """Address of a server of `folder` on this machine, and its handler."""

    class Bound(Handler):
        statuses: list[int] = []  # noqa: RUF012
        asked: list[tuple[str, str]] = []  # noqa: RUF012

        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

    Bound.ranges = ranges
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Bound
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def s3_server() -> Iterator[str]:
    """Endpoint of an S3 store on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
