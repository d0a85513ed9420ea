"""The third observer: two clips are learnt by heart, its pieces are numbered as the peers', a cut run ends the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece
import torch
from overfit import OPTIM, assert_resumes
from tiny import CROP, SENTENCES, reader, samples, tokenizer
from torch import nn

from synctalk.checkpoints import save
from synctalk.errors import UserError
from synctalk.evaluation.judges.conformer import read_by_conformer
from synctalk.features.tokens import TokenizerParams, Units, train_tokenizer
from synctalk.models.conformer import BLANK, Conformer, ConformerConfig
from synctalk.models.conformer_search import JointBeamConfig
from synctalk.training.conformer import (
    ConformerParams,
    ConformerRecipe,
    published_conformer,
    token_rows,
    train_conformer,
)

RECIPE = ConformerRecipe(
    corpora=("lrs2",),
    seed=5,
    net=ConformerConfig(
        d_model=24, n_heads=2, d_ffn=32, n_layers=1, conv_kernel=5, n_decoder_layers=1, vocabulary=9, dropout=0.0
    ),
    ctc_weight=0.3,
    smoothing=0.0,
    optim=replace(OPTIM, steps=100, batch_clips=2, decay="cosine", final_lr_ratio=0.0),
)
BEAM = JointBeamConfig(beam=3, ctc_weight=0.1)


def test_two_clips_are_read_word_for_word_forced_and_free(tmp_path: Path) -> None:
    torch.manual_seed(0)
    cache, other = samples(tmp_path / "shards", 2), reader()
    # of one length: convolutions see padding, so a clip that was learnt with it is read a little otherwise without
    cache[1].__dict__["mouth"] = cache[1].mouth[: len(cache[0].mouth)]
    units = Units.of_tokenizer(tokenizer().model)
    trained = train_conformer(cache, units, other, RECIPE, crop=CROP, seed=0, folder=tmp_path)
    decoder, ctc = ([value for _, name, value in trained.curves if name == term] for term in ("decoder", "ctc"))
    assert decoder[-1] < decoder[0] / 10
    assert ctc[-1] < ctc[0] / 3
    mouths = [cache[0].mouth, cache[1].mouth]
    readings = read_by_conformer(trained.model, units, mouths, [SENTENCES[0], None], CROP, BEAM)
    assert [reading.free for reading in readings] == list(SENTENCES[:2])
    assert [reading.forced for reading in readings] == [SENTENCES[0], None]
    by_ctc = read_by_conformer(trained.model, units, mouths, [None, None], CROP, replace(BEAM, ctc_weight=1.0))
    assert [reading.free for reading in by_ctc] == list(SENTENCES[:2])
    # it looks through the other's front end, which stays
    theirs = other.encoder.w2v_model.feature_extractor_video.resnet.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in trained.model.frontend.state_dict().items())


def test_a_cut_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    cache, units = samples(tmp_path / "shards", 2), Units.of_tokenizer(tokenizer().model)
    recipe = replace(RECIPE, optim=replace(OPTIM, steps=6, batch_clips=2), net=replace(RECIPE.net, dropout=0.2))

    def train(folder: Path) -> nn.Module:
        torch.manual_seed(0)
        return train_conformer(cache, units, reader(), recipe, crop=CROP, seed=0, folder=folder).model

    assert_resumes(train, tmp_path, 3)


class Certain(Conformer):
    """Says at each place what the next token would be if every transcript were the one that it was made with."""

    def __init__(self, said: list[int], vocabulary: int) -> None:
        super().__init__(replace(RECIPE.net, front_end=reader().config.encoder.front_end, vocabulary=vocabulary))
        self.decoder.forward = self.say  # type: ignore[method-assign]
        self.said, self.given = said, torch.empty(0)

    def say(self, tokens: torch.Tensor, encoding: torch.Tensor, padding: None) -> torch.Tensor:
        self.given = tokens
        return nn.functional.one_hot(torch.tensor([self.said]), self.config.vocabulary).float()


def test_teacher_forcing_gives_the_true_words_and_ends_where_they_end(tmp_path: Path) -> None:
    units = Units.of_tokenizer(tokenizer().model)
    truth, said = units.encode(SENTENCES[0]), units.encode(SENTENCES[1])
    n = min(len(truth), len(said))
    model = Certain([*said, *truth][: len(truth) + 1], units.vocabulary)
    mouth = samples(tmp_path / "shards", 1)[0].mouth
    (reading,) = read_by_conformer(model, units, [mouth], [SENTENCES[0]], CROP, BEAM)
    assert model.given[0].tolist() == [model.config.eos, *truth]
    assert reading.forced is not None
    assert reading.forced == units.decode([*said, *truth][: len(truth)])
    assert reading.forced.split()[0] == units.decode(said[:n]).split()[0]


def test_rows_of_tokens_by_hand() -> None:
    given, target = token_rows([[4, 5], [6]], eos=9)
    assert given.tolist() == [[9, 4, 5], [9, 6, 9]]
    assert target.tolist() == [[4, 5, 9], [6, 9, BLANK]]


def published_units(folder: Path) -> tuple[Path, Path]:
    """Pieces in upper case, numbered in the order of their names from 1 on, as auto_avsr's units file."""
    model = train_tokenizer([text.upper() for text in SENTENCES] * 5, TokenizerParams(vocabulary=40, corpora=("lrs2",)))
    (folder / "unigram.model").write_bytes(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = sorted(processor.id_to_piece(number) for number in range(3, processor.get_piece_size()))
    (folder / "units.txt").write_text("".join(f"{piece} {n}\n" for n, piece in enumerate(pieces, start=1)))
    return folder / "unigram.model", folder / "units.txt"


def test_published_pieces_keep_their_numbers_and_their_case(tmp_path: Path) -> None:
    model, file = published_units(tmp_path)
    units = Units.load(model, file)
    rows = dict(line.split() for line in file.read_text().splitlines())
    assert units.vocabulary == len(rows) + 2
    assert units.upper
    tokens = units.encode("bin blue at f one now")
    assert {str(token) for token in tokens} <= set(rows.values())
    assert units.decode(tokens) == "bin blue at f one now"
    assert units.decode([BLANK, *tokens, units.vocabulary - 1]) == "bin blue at f one now"
    # what they write is read again
    (tmp_path / "out").mkdir()
    units.write(tmp_path / "out")
    again = Units.load(tmp_path / "out" / "tokenizer.model", tmp_path / "out" / "units.txt")
    assert (again.numbers, again.upper) == (units.numbers, True)


def test_a_published_conformer_needs_its_own_pieces(tmp_path: Path) -> None:
    model, file = published_units(tmp_path)
    units = Units.load(model, file)
    config = replace(RECIPE.net, front_end=reader().config.encoder.front_end)
    for vocabulary in (units.vocabulary, units.vocabulary + 1):
        save(Conformer(replace(config, vocabulary=vocabulary)), tmp_path / f"{vocabulary}.safetensors", {})
    params = ConformerParams(checkpoint="", pieces=str(model), units=str(file), front_end="observer1", recipe=None)
    right = published_conformer(replace(params, checkpoint=str(tmp_path / f"{units.vocabulary}.safetensors")))
    assert right.model.config.eos == units.vocabulary - 1
    with pytest.raises(UserError, match="bring the units file of these weights"):
        published_conformer(replace(params, checkpoint=str(tmp_path / f"{units.vocabulary + 1}.safetensors")))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("A 1\nB\n", r"units\.txt:2: is no piece and its number"),
        ("A 1\nB 1\n", "numbers two pieces alike"),
        ("A 0\n", "or one as the blank"),
        ("", "numbers two pieces alike"),
    ],
)
def test_a_wrong_units_file_is_one_line(tmp_path: Path, lines: str, reason: str) -> None:
    model, file = published_units(tmp_path)
    file.write_text(lines)
    with pytest.raises(UserError, match=reason):
        Units.load(model, file)
    with pytest.raises(UserError, match="is not there"):
        Units.load(model, tmp_path / "none.txt")
