"""The text files of LRS2, LRS3, GRID and (metadata) VoxCeleb2: parse and format.

A file is a head of `Key:  value` lines (Text, Conf, Ref), then blocks, each with a header line, parted by blank lines:
`FRAME X Y W H` (a face box for each frame, relative to the picture) and `WORD START END ASDSCORE` (seconds). Blocks may
be missing (LRS2's main part has the head only), separated by tabs or spaces, with CRLF.

GRID's .align files have lines `start end word`, times in 1/25000 s; `sil` and `sp` are silences.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synctalk.corpora.records import Word
from synctalk.errors import ClipError, Reason

_BRACES = str.maketrans("", "", "{}")
_HEAD_LINE = re.compile(r"\s*([A-Za-z][A-Za-z ]*?)\s*:\s*(.*?)\s*$")
GRID_RATE = 25_000
"""Ticks a second of .align files: GRID's audio was recorded at 25 kHz."""
GRID_SILENCES = frozenset({"sil", "sp"})
ASD_SCORE = 9.9
"""Score of the active-speaker detector that `format_transcript` writes: the synthetic speaker is the one who speaks."""


@dataclass(frozen=True)
class FrameBox:
    """A row of the FRAME block: frame number, and left, top, width and height as parts of the picture, 0..1."""

    frame: int
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Transcript:
    """What an LRS text file says.

    Attributes:
        text: lower case, single spaces, without curly braces; "" where there is none.
        words: word times, seconds from the clip's start; empty where the file has none.
        boxes: the FRAME block; empty where the file has none.
        head: the other head lines, as they stand ({"Conf": "4"}).
    """

    text: str
    words: tuple[Word, ...] = ()
    boxes: tuple[FrameBox, ...] = ()
    head: dict[str, str] = field(default_factory=dict)


def clean_text(text: str) -> str:
    """Lower case, single spaces, curly braces dropped (auto_avsr drops them as well)."""
    return " ".join(text.translate(_BRACES).lower().split())


def _word(text: str, start_s: float, end_s: float) -> Word:
    if not (math.isfinite(start_s + end_s) and 0 <= start_s <= end_s):
        raise ValueError("no stretch of time")
    return Word(text, start_s, end_s)


def parse_transcript(content: str) -> Transcript:
    """Read the content of a text file.

    Raises:
        ClipError: `NO_TRANSCRIPT`: a row of a block has too few fields, no finite numbers in them, or ends before it
            begins.
    """
    head: dict[str, str] = {}
    words: list[Word] = []
    boxes: list[FrameBox] = []
    block = ""
    for number, line in enumerate(content.removeprefix("\ufeff").splitlines(), 1):
        fields = line.split()
        if not fields:
            block = ""
        elif fields[:3] == ["WORD", "START", "END"]:
            block = "WORD"
        elif fields[:5] == ["FRAME", "X", "Y", "W", "H"]:
            block = "FRAME"
        elif block:
            try:
                if block == "WORD":
                    text = clean_text(fields[0])
                    word = _word(text, float(fields[1]), float(fields[2]))
                    words += [word] if text else []
                else:
                    boxes.append(FrameBox(int(fields[0]), *map(float, fields[1:5])))
            except (ValueError, IndexError, TypeError) as error:
                detail = f"line {number} is no row of {block}: {line.strip()!r}"
                raise ClipError(Reason.NO_TRANSCRIPT, detail) from error
        elif match := _HEAD_LINE.match(line):
            head.setdefault(match[1], match[2])
    text = clean_text(head.pop("Text", ""))
    return Transcript(text=text, words=tuple(words), boxes=tuple(boxes), head=head)


def parse_align(content: str) -> Transcript:
    """Read the content of an .align file of GRID; silences are no words.

    Raises:
        ClipError: `NO_TRANSCRIPT`: a line is not two finite numbers, the first no later than the second, and a word.
    """
    words: list[Word] = []
    for number, line in enumerate(content.removeprefix("\ufeff").splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            start, end, text = fields
            word = _word(clean_text(text), float(start) / GRID_RATE, float(end) / GRID_RATE)
        except ValueError as error:
            detail = f"line {number} is not `start end word`: {line.strip()!r}"
            raise ClipError(Reason.NO_TRANSCRIPT, detail) from error
        words += [word] if word.text and word.text not in GRID_SILENCES else []
    return Transcript(text=" ".join(word.text for word in words), words=tuple(words))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ClipError(Reason.NO_TRANSCRIPT, f"{path.name} is not there") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ClipError(Reason.NO_TRANSCRIPT, f"{path.name} cannot be read as UTF-8 text: {error}") from error


def _parsed(path: Path, parse: Callable[[str], Transcript]) -> Transcript:
    content = _read_text(path)
    try:
        transcript = parse(content)
    except ClipError as error:
        raise ClipError(error.reason, f"{path.name}: {error.detail}") from error
    if not transcript.text:
        raise ClipError(Reason.NO_TRANSCRIPT, f"{path.name} has no text")
    return transcript


def read_align(path: Path) -> Transcript:
    """Read an .align file that must have words.

    Raises:
        ClipError: `NO_TRANSCRIPT`: the file is missing, not UTF-8, malformed, or all silence.
    """
    return _parsed(path, parse_align)


def read_transcript(path: Path, *, plain: bool = False) -> Transcript:
    """Read a text file that must have a transcript.

    Args:
        path: the file.
        plain: take a file without a `Text:` line as the bare sentence.

    Raises:
        ClipError: `NO_TRANSCRIPT`: the file is missing, not UTF-8, malformed, or says nothing.
    """

    def parse(content: str) -> Transcript:
        bare = plain and not re.search(r"^\s*Text\s*:", content, re.MULTILINE)
        return Transcript(text=clean_text(content)) if bare else parse_transcript(content)

    return _parsed(path, parse)


def format_align(words: Sequence[Word], end_s: float) -> str:
    """The content of an .align file, silences between and around the words; `parse_align` reads it back."""
    rows: list[tuple[float, float, str]] = []
    spoken_s = 0.0
    for word in words:
        rows += [(spoken_s, word.start_s, "sil" if not rows else "sp")] if word.start_s > spoken_s else []
        rows.append((word.start_s, word.end_s, word.text))
        spoken_s = word.end_s
    rows += [(spoken_s, end_s, "sil")] if end_s > spoken_s else []
    return "".join(f"{round(a * GRID_RATE)} {round(b * GRID_RATE)} {text}\n" for a, b, text in rows)


def format_boxes(boxes: Sequence[FrameBox]) -> str:
    """The FRAME block, tab-separated as the corpora have it."""
    rows = [f"{b.frame:06d}\t{b.x:.3f}\t{b.y:.3f}\t{b.w:.3f}\t{b.h:.3f}" for b in boxes]
    return "\n".join(["FRAME\tX\tY\tW\tH", *rows]) + "\n"


def format_transcript(transcript: Transcript) -> str:
    """The content of a text file in the LRS layout; `parse_transcript` reads it back (times to 0.01 s)."""
    parts = [f"Text:  {transcript.text.upper()}\n" + "".join(f"{k}:  {v}\n" for k, v in transcript.head.items())]
    if transcript.boxes:
        parts.append(format_boxes(transcript.boxes))
    if transcript.words:
        rows = [f"{w.text.upper()} {w.start_s:.2f} {w.end_s:.2f} {ASD_SCORE}" for w in transcript.words]
        parts.append("\n".join(["WORD START END ASDSCORE", *rows]) + "\n")
    return "\n".join(parts)
