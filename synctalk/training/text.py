"""Transcripts as word pieces: a SentencePiece unigram model with the special ids of the AV-HuBERT recipe."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor

from synctalk.errors import UserError
from synctalk.models.lip_reader import BOS, EOS, PAD, UNK
from synctalk.section import section


@section
class TokenizerParams:
    """The tokenizer (params.yaml: `tokenizer`)."""

    vocabulary: int
    """Pieces wanted, special ones included: 1000 in the AV-HuBERT recipe. A small corpus may yield fewer."""
    corpora: tuple[str, ...]
    """Corpora whose training transcripts it learns from."""


def train_tokenizer(transcripts: Sequence[str], params: TokenizerParams) -> bytes:
    """A SentencePiece unigram model of lower-case `transcripts`, as the bytes of its file. Deterministic.

    Raises:
        UserError: no transcript.
    """
    sentences = [sentence for sentence in transcripts if sentence]
    if not sentences:
        raise UserError("tokenizer.corpora", f"{', '.join(params.corpora)} have no training transcripts")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="unigram",
        vocab_size=params.vocabulary,
        hard_vocab_limit=False,
        bos_id=BOS,
        pad_id=PAD,
        eos_id=EOS,
        unk_id=UNK,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


class Tokenizer:
    """Word pieces of a trained model.

    Args:
        model: bytes of a SentencePiece model file.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a model file.

        Raises:
            UserError: it is not there.
        """
        if not path.is_file():
            raise UserError(path, "is not there", "run `dvc repro tokenizer`")
        return cls(path.read_bytes())

    def __len__(self) -> int:
        return int(self.processor.get_piece_size())

    def pieces(self) -> tuple[str, ...]:
        """The pieces after the special ones, in the order of their numbers."""
        return tuple(self.processor.id_to_piece(number) for number in range(UNK + 1, len(self)))

    def encode(self, transcript: str) -> list[int]:
        """Pieces of a lower-case transcript, EOS at the end."""
        return [*self.processor.encode(transcript), EOS]

    def decode(self, tokens: Sequence[int]) -> str:
        """Transcript of the pieces before the first EOS."""
        pieces = list(tokens)
        if EOS in pieces:
            pieces = pieces[: pieces.index(EOS)]
        return str(self.processor.decode([piece for piece in pieces if piece > EOS]))


def token_batch(tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Padded targets [B, S], and decoder inputs [B, S]: the targets shifted by one, beginning with EOS (fairseq)."""
    longest = max(map(len, tokens))
    target = torch.full((len(tokens), longest), PAD, dtype=torch.long)
    for row, pieces in zip(target, tokens, strict=True):
        row[: len(pieces)] = torch.tensor(pieces)
    decoder_input = torch.full_like(target, PAD)
    decoder_input[:, 0] = EOS
    decoder_input[:, 1:] = target[:, :-1].masked_fill(target[:, :-1] == EOS, PAD)
    return target, decoder_input
