"""A peer's file of weights to one of ours: read without running anything in it, checked entry by entry, written whole.

Beside `NAME.safetensors` stands `NAME.safetensors.sha256` in the form of sha256sum, which `verify` reads.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synctalk.checkpoints.load import load, save
from synctalk.checkpoints.safetensors_file import write_whole
from synctalk.checkpoints.tokenizer import find_tokenizer
from synctalk.errors import UserError

WITH_TOKENIZER = "av_hubert_seq2seq"
"""The kind whose files carry their word pieces with them."""


@dataclass(frozen=True)
class Imported:
    """What an import wrote.

    Attributes:
        path: our file.
        kind: of weights.
        sha256: of our file.
        source_sha256: of the peer's.
        n_parameters: numbers in it, batch counters left out.
        n_pieces: word pieces that came along; 0 where the file has none.
    """

    path: Path
    kind: str
    sha256: str
    source_sha256: str
    n_parameters: int
    n_pieces: int


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in lower-case hexadecimal digits.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})") from error


def import_weights(kind: str, source: Path, out: Path) -> Imported:
    """Write the weights of `source` as safetensors to `out`, its checksum beside it; equal files give equal bytes.

    Args:
        kind: one of `KINDS`.
        source: a peer's file, or one of ours.
        out: ends in .safetensors.

    Raises:
        UserError: as `load`, or `out` has another ending, no folder, or is `source` itself. Nothing is written then.
    """
    if out.suffix != ".safetensors":
        raise UserError(out, "does not end in .safetensors", "give it that ending")
    if not out.parent.is_dir():
        raise UserError(out.parent, "is no folder", "make it first")
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(out, "is the file that is read", "give another name")
    network = load(kind, source)
    metadata: dict[str, Any] = {"source": {"file": source.name, "sha256": file_sha256(source)}}
    tokenizer = find_tokenizer(source) if kind == WITH_TOKENIZER else None
    if tokenizer is not None:
        metadata["tokenizer"] = tokenizer.to_json()
    save(network, out, metadata)
    digest = file_sha256(out)
    write_whole(_checksum_file(out), f"{digest}  {out.name}\n".encode())
    n_parameters = sum(weights.numel() for weights in network.parameters())
    n_pieces = len(tokenizer.pieces) if tokenizer else 0
    return Imported(out, kind, digest, metadata["source"]["sha256"], n_parameters, n_pieces)


def verify(path: Path, sha256: str | None = None) -> str:
    """Compare a file with a checksum: the one given, or that of `<path>.sha256`. Returns it.

    Raises:
        UserError: the file differs; there is nothing to compare it with; the checksum is none.
    """
    if sha256 is None:
        try:
            sha256 = _checksum_file(path).read_text(encoding="utf-8").split()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise UserError(path, f"no checksum in {_checksum_file(path).name}", "give one by --sha256") from error
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(path, f"{sha256!r} is no SHA-256", "give 64 hexadecimal digits")
    found = file_sha256(path)
    if found != sha256.lower():
        raise UserError(path, f"has the SHA-256 {found}, not {sha256.lower()}", "fetch or import it again")
    return found


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
