"""The tokenizer: the special numbers of the AV-HuBERT recipe, words that come back, and errors of one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import SENTENCES, tokenizer

from synctalk.errors import UserError
from synctalk.features.tokens import Tokenizer, TokenizerParams, train_tokenizer
from synctalk.models.lip_reader import BOS, EOS, PAD, UNK

PARAMS = TokenizerParams(vocabulary=40, corpora=("lrs2", "lrs3"))


def test_special_pieces_are_the_first_four() -> None:
    pieces = tokenizer()
    processor = pieces.processor
    assert [processor.bos_id(), processor.pad_id(), processor.eos_id(), processor.unk_id()] == [0, 1, 2, 3]
    assert (BOS, PAD, EOS, UNK) == (0, 1, 2, 3)
    # no transcript yields a special piece but for the end
    assert all(min(pieces.encode(sentence)[:-1]) > UNK for sentence in SENTENCES)
    assert [piece for piece in pieces.encode(SENTENCES[0]) if piece == EOS] == [EOS]


def test_pieces_are_lower_case_and_may_spell_new_words() -> None:
    pieces = tokenizer()
    named = pieces.pieces()
    assert len(named) == len(pieces) - 4
    assert all(piece == piece.lower() for piece in named)
    assert named[pieces.encode("bin")[0] - 4].lstrip("▁").startswith("b")
    assert pieces.decode(pieces.encode("nine lease blue")) == "nine lease blue"
    # upper case is no text of the corpus: transcripts are lower-cased where the corpus is read
    assert UNK in pieces.encode("BIN")


def test_decoding_stops_at_the_first_end_and_skips_special_pieces() -> None:
    pieces = tokenizer()
    blue = pieces.encode("blue")[:-1]
    assert pieces.decode([EOS, *blue]) == ""
    assert pieces.decode([BOS, PAD, *blue, PAD, EOS, *blue]) == "blue"
    assert pieces.decode([]) == ""


def test_a_small_corpus_may_yield_fewer_pieces_than_wanted() -> None:
    small = Tokenizer(train_tokenizer(["a b", "b a"], TokenizerParams(vocabulary=1000, corpora=("lrs2",))))
    assert 4 < len(small) < 20
    assert len(tokenizer()) <= 40
    assert small.decode(small.encode("a b b a")) == "a b b a"


def test_clips_without_a_transcript_are_passed_over() -> None:
    assert train_tokenizer(["", *SENTENCES, ""], PARAMS) == train_tokenizer(SENTENCES, PARAMS)


@pytest.mark.parametrize("transcripts", [[], ["", ""]])
def test_no_transcript_is_an_error_that_names_the_corpora(transcripts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        train_tokenizer(transcripts, PARAMS)
    assert str(error.value) == "tokenizer.corpora: lrs2, lrs3 have no training transcripts"


def test_a_file_gives_the_tokenizer_back(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    with pytest.raises(UserError, match="is not there; run `dvc repro tokenizer`"):
        Tokenizer.load(path)
    path.write_bytes(tokenizer().model)
    assert Tokenizer.load(path).encode(SENTENCES[2]) == tokenizer().encode(SENTENCES[2])
