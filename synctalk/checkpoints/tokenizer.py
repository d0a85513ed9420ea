"""The word pieces inside a fine-tuned AV-HuBERT checkpoint, or inside TalkLip's `task_state.pt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synctalk.checkpoints.torch_file import Foreign, read_torch_file
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


def read_tokenizer(path: Path) -> PeerTokenizer:
    """Read the tokenizer that fairseq stored in the file, without fairseq.

    Raises:
        UserError: the file is damaged, or holds no tokenizer.
    """
    saved = read_torch_file(path)
    task = saved.get("task_state", saved) if isinstance(saved, Mapping) else None
    if not isinstance(task, Mapping) or "target_dictionary" not in task:
        raise UserError(path, "holds no tokenizer", "it is in fine-tuned AV-HuBERT files and in task_state.pt")
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
