"""Broken inputs, built by construction: the same from the same seed."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml

from synctalk.media import write_audio

N_FRAMES, SIDE, RATE = 20, 80, 16_000
SEED = 20_24


@dataclass(frozen=True)
class Broken:
    """One broken input: what is broken and how, its number in its family, name and bytes of the file."""

    kind: str
    number: int
    name: str
    data: bytes

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.number:04d}" / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data)
        return path


def numbered(made: Iterator[tuple[str, str, bytes]]) -> list[Broken]:
    return [Broken(kind, number, name, data) for number, (kind, name, data) in enumerate(made)]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def flip(data: bytes, n_bits: int, rng: random.Random, first: int = 0, last: int | None = None) -> bytes:
    """`data` with so many bits turned over between the bytes `first` and `last`."""
    out = bytearray(data)
    for _ in range(n_bits):
        out[rng.randrange(first, min(last or len(out), len(out)))] ^= 1 << rng.randrange(8)
    return bytes(out)


def damaged(data: bytes, n: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """`n` of each: cut off, few and many bits turned over, a hole of zeros, a stretch twice, noise in the head."""
    for _ in range(n):
        yield "cut", cut(data, rng)
        yield "flipped", flip(data, rng.choice([1, 4, 64]), rng)
        yield "flipped head", flip(data, rng.choice([2, 8, 32]), rng, 0, 400)
        start = rng.randrange(len(data))
        size = rng.randrange(1, 1 + len(data) // 3)
        yield "zeros", data[:start] + bytes(min(size, len(data) - start)) + data[start + size :]
        yield "twice", data[: start + size] + data[start:]


# footage


def noise_frames() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (N_FRAMES, SIDE // 8, SIDE // 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)


def noise_audio() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 3000, N_FRAMES * RATE // 25).astype(np.int16)


def encoded(
    container: str,
    video: str = "libx264",
    audio: str = "aac",
    mux: dict[str, str] | None = None,
    n_frames: int = N_FRAMES,
) -> bytes:
    """A clip of noise in a container of the name; without audio where its codec is ""."""
    rate = 48_000 if audio in ("libopus", "mp2") else RATE
    with (
        tempfile.NamedTemporaryFile() as made,
        av.open(made.name, "w", format=container, options={"fflags": "+bitexact", **(mux or {})}) as file,
    ):
        quick = {"preset": "ultrafast", "threads": "1"} if video == "libx264" else {}
        pictures: Any = file.add_stream(video, rate=25, options=quick)
        pictures.width, pictures.height, pictures.pix_fmt = SIDE, SIDE, "yuv420p"
        spoken: Any = file.add_stream(audio, rate=rate, layout="mono") if audio else None
        for image in noise_frames()[:n_frames]:
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(pictures.encode(None))
        if spoken is not None:
            resampler = av.AudioResampler(format=spoken.codec_context.format, layout="mono", rate=rate)
            frame = av.AudioFrame.from_ndarray(noise_audio()[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                file.mux(spoken.encode(part))
            file.mux(spoken.encode(None))
        file.close()
        return Path(made.name).read_bytes()


def whole_videos() -> dict[str, bytes]:
    """A whole clip in every container."""
    return {
        "mp4": encoded("mp4", mux={"movflags": "+faststart"}),
        "mp4, index behind": encoded("mp4"),
        "fragments": encoded("mp4", mux={"movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov"}),
        "mkv": encoded("matroska"),
        "webm": encoded("webm", "libvpx", "libopus"),
        "ts": encoded("mpegts"),
        "mpg": encoded("mpeg", "mpeg1video", "mp2"),
        "avi": encoded("avi", "mpeg4", "pcm_s16le"),
        "flv": encoded("flv", audio="aac"),
    }


def boxes(data: bytes, kind: bytes) -> list[int]:
    """Where boxes of a kind begin in an MP4, by their names."""
    places, at = [], data.find(kind)
    while at >= 4:
        places.append(at - 4)
        at = data.find(kind, at + 1)
    return places


def _patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def huge(mp4: bytes, mkv: bytes, avi: bytes) -> Iterator[bytes]:
    """Sizes, counts and lengths that are declared and cannot be."""
    most = (b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff")
    for kind, offsets in (
        (b"moov", (0,)),
        (b"trak", (0,)),
        (b"mdat", (0,)),
        (b"mvhd", (20, 24)),
        (b"tkhd", (28, 84, 88)),
        (b"mdhd", (20, 24)),
        (b"stsd", (12, 16)),
        (b"stsz", (12, 16, 20)),
        (b"stts", (12, 16, 20)),
        (b"stsc", (12, 16, 20)),
        (b"stco", (12, 16)),
        (b"avc1", (32,)),
        (b"avcC", (0,)),
    ):
        place = boxes(mp4, kind)[0]
        for offset in offsets:
            for value in most:
                yield _patched(mp4, place + offset, value)
    segment = mkv.index(b"\x18\x53\x80\x67")
    for value in (b"\x01\x00\xff\xff\xff\xff\xff\xff", b"\x01" + b"\xff" * 7, b"\x08\x7f\xff\xff\xff"):
        yield _patched(mkv, segment + 4, value)
    for name, offset in ((b"avih", 8), (b"avih", 24), (b"avih", 40), (b"strh", 40), (b"movi", -4), (b"idx1", 4)):
        yield _patched(avi, avi.index(name) + offset, b"\xff\xff\xff\x7f")
        yield _patched(avi, avi.index(name) + offset, b"\xff\xff\xff\xff")


def strangers(rng: random.Random) -> dict[str, bytes]:
    """Files that are no video, under its name."""
    png = av.CodecContext.create("png", "w")
    png.width = png.height = 16
    png.pix_fmt, png.time_base = "rgb24", Fraction(1, 25)
    picture = b"".join(map(bytes, png.encode(av.VideoFrame(16, 16, "rgb24"))))
    return {
        "empty": b"",
        "one byte": b"\0",
        "zeros": bytes(70_000),
        "noise": rng.randbytes(70_000),
        "text": b"Text:  BIN BLUE AT F TWO NOW\n" * 40,
        "html": b"<html><body>404 Not Found</body></html>",
        "json": b'{"error": "quota"}',
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "png": picture,
        "wav": b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\0\x08\0\0"
        + bytes(2048),
        "zip": b"PK\x03\x04" + rng.randbytes(500),
        "gzip": b"\x1f\x8b\x08\0" + rng.randbytes(500),
        "elf": b"\x7fELF\x02\x01\x01" + rng.randbytes(500),
        "ftyp alone": b"\0\0\0\x18ftypisom\0\0\0\0isomavc1",
        "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94.",
        "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
        "utf-16": "Text: BIN".encode("utf-16"),
    }


def videos(n: int) -> list[Broken]:
    """`n` of each damage to each container, and all that are built by hand."""
    rng = random.Random(SEED)
    whole = whole_videos()

    def made() -> Iterator[tuple[str, str, bytes]]:
        for data in whole.values():
            yield "whole", "clip.mp4", data
        for data in whole.values():
            for how, broken in damaged(data, n, rng):
                yield f"video {how}", "clip.mp4", broken
        by_hand = [("video huge size", data) for data in huge(whole["mp4"], whole["mkv"], whole["avi"])]
        by_hand += [("no video", data) for data in strangers(rng).values()]
        by_hand += [("zero frames", encoded("mp4", n_frames=0)), ("zero frames", encoded("matroska", n_frames=0))]
        by_hand += [("zero frames", encoded("mp4", n_frames=0, audio="")), ("no audio", encoded("mp4", audio=""))]
        by_hand += [("one frame", encoded(kind, n_frames=1)) for kind in ("mp4", "matroska", "avi", "mpegts")]
        for kind, data in by_hand[:: 1 if n > 1 else 6]:
            yield kind, "clip.mp4", data

    return numbered(made())


def audio_files(n: int) -> list[Broken]:
    """`n` of each damage to audio files, as VoxCeleb2 has them beside its videos."""
    rng = random.Random(SEED + 4)

    def made() -> Iterator[tuple[str, str, bytes]]:
        for suffix in ("m4a", "wav"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"clip.{suffix}"
                write_audio(path, noise_audio())
                data = path.read_bytes()
            for how, broken in damaged(data, n, rng):
                yield f"audio {how}", f"clip.{suffix}", broken

    return numbered(made())


# text

ODD_TEXT = [
    "",
    " \t\n\r\n",
    "\0",
    "Text:",
    "Text:  ",
    "Text:  {}{}",
    "Text:  BIN\0BLUE",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN 0.1",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN nan inf 1",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN 2 1 1",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN -1 1 1",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN 1e999 1e999 1",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN 0x1 1_0 1",
    "Text:  BIN\nWORD START END ASDSCORE\nBIN ١ ٢ 1",
    "Text:  BIN\nFRAME X Y W H\n" + "9" * 5000 + " 1 1 1 1",
    "Text:  BIN\nFRAME X Y W H\n1 2",
    "Text:  BIN\nFRAME X Y W H\n1.5 2 3 4 5",
    "Text:  " + "A" * 1_000_000,
    "Text:  " + "BIN " * 200_000,
    "Text:  BIN\n" * 100_000,
    "Text:  \u202eNIB\u202c \u200f\u200b",
    "Text:  e\u0301\u0327" + "\u0301" * 500,
    "Text:  \U0001f600 \U000e0041 \ufffe",
    "Text:  BIN\rBLUE\x85AT\u2028F\x0bTWO\x1cNOW",
    "\ufeff\ufeffText:  BIN",
    "text: bin",
    "Text BIN",
    "Conf: 4\nRef: x\n",
    "0 1000 sil\n1000 x bin",
    "0 1000 bin extra",
    "5 1 bin",
    "nan 1 bin",
    "0 1e400 bin",
    "0 25000 sil\n25000 50000 sp\n",
]


def texts(n: int) -> list[Broken]:
    """Transcripts: odd ones, their bytes in other encodings, and damage to a sound one."""
    rng = random.Random(SEED + 1)
    whole = (
        b"Text:  BIN BLUE AT F TWO NOW\nConf:  4\n\nWORD START END ASDSCORE\nBIN 0.10 0.30 1.0\nBLUE 0.30 0.52 1.0\n\n"
        b"FRAME\tX\tY\tW\tH\n000001\t0.1\t0.2\t0.3\t0.4\n"
    )

    def made() -> Iterator[tuple[str, str, bytes]]:
        for text in ODD_TEXT[:: 1 if n > 1 else 4]:
            yield "text odd", "clip.txt", text.encode("utf-8", "surrogatepass")
        for code in ("utf-16", "utf-32", "latin-1", "cp1251"):
            yield "text encoding", "clip.txt", "Text:  Пять".encode(code, "replace") + b"\xff"
        yield "text encoding", "clip.txt", b"Text:  \xed\xa0\x80 \xc0\xaf"
        for how, broken in damaged(whole, 2 * n, rng):
            yield f"text {how}", "clip.txt", broken
        for _ in range(2 * n):
            yield "text noise", "clip.txt", rng.randbytes(rng.randrange(1, 3000))

    return numbered(made())


ODD_PATHS = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..",
    ".",
    "./",
    "//",
    "\\\\server\\share",
    "..\\..\\x",
    "C:\\x",
    "a\0b",
    "a" * 300,
    "a/" * 3000 + "b",
    "ä" * 200,
    "~/x",
    "$HOME/x",
    "`id`",
    "%2e%2e/x",
    "file:///etc/passwd",
    "-rf",
    "\u202egpj.exe",
    "00000/0000\u00a01",
    "con",
    " ",
    "a\x1bb",
]


def lists(n: int) -> list[Broken]:
    """List files of a corpus: train.txt and splits.csv."""
    rng = random.Random(SEED + 2)
    table = b"path,split\nclip.mp4,train\nother/clip.mp4,val\n"

    def made() -> Iterator[tuple[str, str, bytes]]:
        for path in ODD_PATHS[:: 1 if n > 1 else 4]:
            yield "list odd path", "train.txt", f"{path}\n".encode("utf-8", "surrogatepass")
            quoted = path.replace('"', '""')
            yield "table odd path", "splits.csv", f'path,split\n"{quoted}",train\n'.encode("utf-8", "surrogatepass")
        for text in (
            b"",
            b"path\nx\n",
            b"split,path\n",
            b"path,split\nx\n",
            b'path,split\n"x',
            b"path,split\nx,everything\n",
        ):
            yield "table odd", "splits.csv", text
        yield "table odd", "splits.csv", b"path,split\n" + b"x" * 200_000 + b",train\n"
        for how, broken in damaged(table, n, rng):
            yield f"table {how}", "splits.csv", broken
        for how, broken in damaged(b"00000/00001 NF MV\n00000/00002\n" * 20, n, rng):
            yield f"list {how}", "train.txt", broken

    return numbered(made())


# params.yaml


def _places(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of nested dicts."""
    for key, value in data.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _places(value, (*path, key))


ODD_VALUES: list[Any] = [
    None,
    "",
    "x",
    -1,
    [],
    {},
    [[]],
    True,
    float("nan"),
    float("inf"),
    2**200,
    {"a": {"b": 1}},
    "\0",
    1e308,
]
ODD_YAML = [
    b"",
    b"\0",
    b"- a\n- b\n",
    b"a: b: c\n",
    b"\tindex: 1\n",
    b"a: &a [*a]\n",
    b"a: *nowhere\n",
    b"? [1, 2]\n: 3\n",
    b"? {a: 1}\n: 3\n",
    b"!!python/object/apply:os.system ['true']\n",
    b"a: !!python/name:os.system\n",
    b"a: !!binary '%%%'\n",
    b"a: !!timestamp x\n",
    b"a: 2001-99-99\n",
    b"a: !!int x\n",
    b"a: " + b"9" * 5000 + b"\n",
    b"a: 0o" + b"7" * 5000 + b"\n",
    b"a: " + b"[" * 3000 + b"]" * 3000 + b"\n",
    b"\xff\xfe" + "scale: demo\n".encode("utf-16-le"),
    b"scale: \xff\xff\n",
    b"%YAML 9.9\n---\nscale: demo\n",
    b"--- a\n--- b\n",
    b"<<: 3\nscale: demo\n",
    b"a: &l0 [x, x]\n"
    + b"".join(b"a%d: &l%d [%s]\n" % (i, i, b", ".join([b"*l%d" % (i - 1)] * 9)) for i in range(1, 9)),
]


def params_files(n: int, whole: bytes) -> list[Broken]:
    """params.yaml without a key, with one too many, with a wrong value, damaged, or no YAML at all."""
    rng = random.Random(SEED + 3)

    def changed(path: tuple[str, ...], change: Callable[[dict[str, Any], str], object]) -> bytes:
        data = yaml.load(whole, yaml.CSafeLoader)
        at = data
        for key in path[:-1]:
            at = at[key]
        change(at, path[-1])
        return yaml.dump(data, sort_keys=False, Dumper=yaml.CSafeDumper).encode()

    def made() -> Iterator[tuple[str, str, bytes]]:
        places = sorted(_places(yaml.load(whole, yaml.CSafeLoader)))
        for text in ODD_YAML[:: 1 if n > 1 else 3]:
            yield "params no YAML", "params.yaml", text
        for path in rng.sample(places, 3 * n):
            yield "params key gone", "params.yaml", changed(path, lambda at, key: at.pop(key))
            yield "params key new", "params.yaml", changed(path, lambda at, key: at.update({f"{key}_": at[key]}))
            odd = rng.choice(ODD_VALUES)
            yield "params odd value", "params.yaml", changed(path, lambda at, key, odd=odd: at.update({key: odd}))
        for how, broken in damaged(whole, n, rng):
            yield f"params {how}", "params.yaml", broken

    return numbered(made())


# files of our own and of peers


def files(family: str, whole: dict[str, bytes], n: int, seed: int) -> list[Broken]:
    """`n` of each damage to each of `whole` files, by name."""
    rng = random.Random(SEED + seed)

    def made() -> Iterator[tuple[str, str, bytes]]:
        for name, data in whole.items():
            for how, broken in damaged(data, n, rng):
                yield f"{family} {how}", name, broken
            yield f"{family} empty", name, b""
            yield f"{family} noise", name, rng.randbytes(2000)
            yield f"{family} huge size", name, data[:8] + b"\xff" * 8 + data[16:]

    return numbered(made())
