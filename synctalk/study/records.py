"""What a study is: its questions, its key, who rates what, and the digests that make a change noticed.

The key says what each opaque name is. A study's id is the SHA-256 of its key, so that answers fit one key and no other;
the key holds a random secret, so that the id says nothing of what is in it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from synctalk.atomic import write_json
from synctalk.errors import UserError

SCALE = (1, 5)
"""Lowest and highest score."""


@dataclass(frozen=True)
class Question:
    """What a rater is asked of each video, and what the ends of the scale mean."""

    name: str
    title: str
    text: str
    low: str
    high: str


QUESTIONS = (
    Question(
        "intelligibility",
        "Intelligibility",
        "How clearly can you understand what is said?",
        "not at all",
        "every word",
    ),
    Question(
        "sync",
        "Synchronisation",
        "How well do the lip movements match the speech?",
        "not at all",
        "perfectly",
    ),
    Question(
        "authenticity",
        "Authenticity",
        "How similar is this to a video of a real person?",
        "clearly artificial",
        "like a real one",
    ),
)
"""The three dimensions of the paper's §4.7."""


@dataclass(frozen=True)
class Origin:
    """Where the videos come from: the scale of params.yaml and whether its corpora are look-alikes; None for folders
    that a user brought, of which nothing is known.
    """

    scale: str | None = None
    synthetic: bool | None = None


@dataclass(frozen=True)
class Shown:
    """What an opaque name stands for, and the SHA-256 of the file that was handed out."""

    method: str
    clip: str
    sha256: str


@dataclass(frozen=True)
class Key:
    """All that the raters must not know.

    Attributes:
        secret: random hexadecimal digits from which the opaque names come.
        seed: of the choice of clips, their sharing out, and each rater's order.
        overlap: raters of each video.
        origin: of the videos.
        videos: opaque name -> what it is.
        raters: code of a rater -> opaque names in the order in which they are shown.
    """

    secret: str
    seed: int
    overlap: int
    origin: Origin
    videos: dict[str, Shown]
    raters: dict[str, tuple[str, ...]]

    @property
    def study(self) -> str:
        """The study's id: 64 hexadecimal digits."""
        return digest(asdict(self))


def digest(value: Any) -> str:  # noqa: ANN401  # anything that JSON can say
    """SHA-256 of JSON in one form only: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def assignment_digest(study: str, rater: str, videos: Sequence[str]) -> str:
    """What a rater's answers must carry: it names the study, the rater, the videos and their order."""
    return digest([study, rater, list(videos)])


def opaque_name(secret: str, *parts: str) -> str:
    """Sixteen hexadecimal digits that nobody without the secret can link to `parts`."""
    return hmac.new(bytes.fromhex(secret), json.dumps(parts).encode(), hashlib.sha256).hexdigest()[:16]


def write_key(path: Path, key: Key) -> None:
    """Write the key with its digest, by which `read_key` notices a change."""
    write_json(path, {"study": key.study, "key": asdict(key)})


def read_key(path: Path) -> Key:
    """The key of a study.

    Raises:
        UserError: it is missing, no key, or not as `write_key` left it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        key = TypeAdapter(Key).validate_python(content["key"])
        written = content["study"]
    except FileNotFoundError as error:
        raise UserError(path, "is not there", "give the key that `synctalk study build` wrote") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValidationError) as error:
        raise UserError(path, "is no key of a study", "give the key that `synctalk study build` wrote") from error
    if key.study != written:
        raise UserError(path, "was changed after it was written", "restore the key that `synctalk study build` wrote")
    return key
