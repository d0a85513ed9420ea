"""Transcripts as word pieces: a SentencePiece unigram model with the special ids of the AV-HuBERT recipe."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor

from synctalk.errors import UserError
from synctalk.models.conformer import BLANK
from synctalk.models.lip_reader import BOS, EOS, PAD, UNK
from synctalk.params.section import section

UNKNOWN = "<unk>"
CONFORMER_FILES = ("model.safetensors", "tokenizer.model", "units.txt")
"""What the folder of a Conformer holds: weights, SentencePiece model, and the number of each of its pieces."""


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


def _processor(model: bytes, path: Path | None = None) -> sentencepiece.SentencePieceProcessor:
    """SentencePiece with a model.

    Raises:
        UserError: it is none.
    """
    try:
        if not model:
            raise RuntimeError("no bytes")  # of which it complains at the first use only
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        reason = f"is no SentencePiece model ({' '.join(str(error).split())})"
        raise UserError(path or "the tokenizer", reason, "fetch or make it again") from error


class Tokenizer:
    """Word pieces of a trained model.

    Args:
        model: bytes of a SentencePiece model file.
        path: of that file, for errors.
    """

    def __init__(self, model: bytes, path: Path | None = None) -> None:
        self.model = model
        self.processor = _processor(model, path)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a model file.

        Raises:
            UserError: it is not there, or damaged.
        """
        if not path.is_file():
            raise UserError(path, "is not there", "run `dvc repro tokenizer`")
        return cls(path.read_bytes(), path)

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


class Units:
    """Word pieces by the Conformer's numbers: 0 is the blank, the last one begins and ends a sentence.

    Args:
        model: bytes of a SentencePiece model.
        numbers: number of each piece.
        path: of the model's file, for errors.
    """

    def __init__(self, model: bytes, numbers: Mapping[str, int], path: Path | None = None) -> None:
        self.model = model
        self.processor = _processor(model, path)
        self.numbers = dict(numbers)
        self.piece_of = {number: piece for piece, number in self.numbers.items()}
        letters = [piece for piece in self.numbers if piece.strip("▁").isalpha()]
        self.upper = all(piece == piece.upper() for piece in letters)

    @classmethod
    def of_tokenizer(cls, model: bytes) -> Units:
        """Those of a tokenizer that was trained here: its own numbers from the unknown piece on."""
        processor = _processor(model)
        return cls(model, {processor.id_to_piece(n): n for n in range(UNK, processor.get_piece_size())})

    @classmethod
    def load(cls, model: Path, units: Path) -> Units:
        """Read both files.

        Raises:
            UserError: one is missing, a line is no piece with its number, a number is used twice or is the blank's.
        """
        for path in (model, units):
            if not path.is_file():
                raise UserError(path, "is not there", "bring the SentencePiece model and the units file of the weights")
        numbers: dict[str, int] = {}
        try:
            text = units.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(units, "is no UTF-8 text", "bring the file of these weights") from error
        for row, line in enumerate(text.splitlines(), start=1):
            words = line.split()
            if len(words) != 2 or not words[1].isdecimal() or len(words[1]) > 9:
                raise UserError(f"{units}:{row}", "is no piece and its number")
            numbers[words[0]] = int(words[1])
        if len(set(numbers.values())) != len(numbers) or BLANK in numbers.values() or not numbers:
            raise UserError(units, "numbers two pieces alike, or one as the blank", "bring the file of these weights")
        return cls(model.read_bytes(), numbers, model)

    @property
    def vocabulary(self) -> int:
        """With the blank and the end."""
        return max(self.numbers.values()) + 2

    def encode(self, transcript: str) -> list[int]:
        """Pieces of a transcript, without an end."""
        text = transcript.upper() if self.upper else transcript.lower()
        unknown = self.numbers.get(UNKNOWN, BLANK)
        return [self.numbers.get(piece, unknown) for piece in self.processor.encode(text, out_type=str)]

    def decode(self, tokens: Sequence[int]) -> str:
        """Lower-case transcript; what is no piece is left out."""
        pieces = [self.piece_of[token] for token in tokens if token in self.piece_of]
        return str(self.processor.decode_pieces([piece for piece in pieces if piece != UNKNOWN])).lower()

    def write(self, folder: Path) -> None:
        """Write both files into `folder`."""
        (folder / CONFORMER_FILES[1]).write_bytes(self.model)
        lines = [f"{piece} {number}" for piece, number in sorted(self.numbers.items(), key=lambda item: item[1])]
        (folder / CONFORMER_FILES[2]).write_text("\n".join(lines) + "\n", encoding="utf-8")


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
