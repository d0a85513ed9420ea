"""A lip reader that judges, with the word pieces that it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from synctalk.checkpoints.tokenizer import read_tokenizer
from synctalk.checkpoints.typed import load_published_lip_reader
from synctalk.errors import UserError
from synctalk.features.tokens import Tokenizer
from synctalk.models.lip_reader import UNK, LipReader


@dataclass(frozen=True)
class Observer:
    """The reader in eval mode, the word pieces that it writes, and the learning curves of a training here."""

    model: LipReader
    tokenizer: Tokenizer
    curves: list[tuple[int, str, float]] = field(default_factory=list)


def published_observer(path: Path) -> Observer:
    """An observer from a published fine-tuned AV-HuBERT file, whose word pieces are inside it.

    Raises:
        UserError: the file is missing or damaged, of another kind, or holds no word pieces, or others than it numbers.
    """
    model, stored = load_published_lip_reader(path), read_tokenizer(path)
    tokenizer = Tokenizer(stored.sentencepiece)
    if tokenizer.pieces() != stored.pieces[UNK + 1 :]:
        raise UserError(path, "numbers its word pieces otherwise than its SentencePiece model", "take another file")
    return Observer(model, tokenizer)
