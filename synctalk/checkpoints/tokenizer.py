"""The word pieces inside a fine-tuned AV-HuBERT checkpoint, inside TalkLip's `task_state.pt`, or inside our file of one
that was imported."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synctalk.checkpoints.safetensors_file import read_header
from synctalk.checkpoints.torch_file import Foreign, is_torch_file, read_torch_file
from synctalk.errors import UserError


@dataclass(frozen=True)
class PeerTokenizer:
    """What turns a peer's token numbers into text.

    Attributes:
        pieces: piece of each token number, the four special ones first.
        sentencepiece: the serialised SentencePiece model.
    """

    pieces: tuple[str, ...]
    sentencepiece: bytes

    def to_json(self) -> dict[str, object]:
        """What our files keep in their metadata, under `tokenizer`."""
        return {"pieces": list(self.pieces), "sentencepiece": base64.b64encode(self.sentencepiece).decode()}


def read_tokenizer(path: Path) -> PeerTokenizer:
    """Read the tokenizer that fairseq stored in the file, without fairseq, or that an import kept in ours.

    Raises:
        UserError: the file is damaged, or holds no tokenizer.
    """
    found = find_tokenizer(path)
    if found is None:
        raise UserError(path, "holds no tokenizer", "it is in fine-tuned AV-HuBERT files and in task_state.pt")
    return found


def find_tokenizer(path: Path) -> PeerTokenizer | None:
    """As `read_tokenizer`, but None where the file holds no tokenizer.

    Raises:
        UserError: the file or its tokenizer is damaged.
    """
    with path.open("rb") as file:
        if not is_torch_file(file.read(9)):
            return _imported_tokenizer(path)
    saved = read_torch_file(path)
    task = saved.get("task_state", saved) if isinstance(saved, Mapping) else None
    if not isinstance(task, Mapping) or "target_dictionary" not in task:
        return None
    dictionary = task["target_dictionary"]
    stored = dictionary.state if isinstance(dictionary, Foreign) else None
    pieces = stored.get("symbols", ()) if isinstance(stored, Mapping) else ()
    models = [
        found.state
        for found in _foreign(task.get("s2s_tokenizer"))
        if found.origin.endswith("SentencePieceProcessor") and isinstance(found.state, bytes)
    ]
    if not pieces or not models:
        raise UserError(path, "its tokenizer has no pieces or no SentencePiece model")
    return PeerTokenizer(pieces=tuple(pieces), sentencepiece=models[0])


def _imported_tokenizer(path: Path) -> PeerTokenizer | None:
    """The tokenizer in the metadata of our own file."""
    metadata = read_header(path).get("metadata", {})
    stored = metadata.get("tokenizer") if isinstance(metadata, Mapping) else None
    if stored is None:
        return None
    try:
        return PeerTokenizer(
            pieces=tuple(map(str, stored["pieces"])),
            sentencepiece=base64.b64decode(stored["sentencepiece"], validate=True),
        )
    except (KeyError, TypeError, binascii.Error) as error:
        raise UserError(path, f"its tokenizer is damaged ({error})", "import it again") from error


def _foreign(value: object) -> Iterator[Foreign]:
    """All foreign objects in a tree."""
    if isinstance(value, Foreign):
        yield value
        yield from _foreign(value.state)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _foreign(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _foreign(item)
