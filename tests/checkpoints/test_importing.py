from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import sentencepiece
import torch
from small_networks import READER, SMALL, assert_same, peer_content, small
from torch import nn

from synctalk.checkpoints import load, read_tokenizer
from synctalk.checkpoints.catalogue import PUBLISHED
from synctalk.checkpoints.importing import import_weights, verify
from synctalk.checkpoints.kinds import KINDS
from synctalk.checkpoints.observer import published_observer
from synctalk.cli.app import main
from synctalk.errors import UserError
from synctalk.features.tokens import Tokenizer, TokenizerParams, train_tokenizer
from synctalk.models.lip_reader import UNK, LipReader

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def peer_file(path: Path, kind: str) -> nn.Module:
    """A file as the peers write it, and the network in it."""
    network = small(kind)
    torch.save(peer_content(kind, network), path)
    return network


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["synctalk", "weights", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize("kind", sorted(SMALL))
def test_an_imported_file_gives_the_peers_network(tmp_path: Path, kind: str) -> None:
    network = peer_file(tmp_path / "peer.pt", kind)
    done = import_weights(kind, tmp_path / "peer.pt", tmp_path / "ours.safetensors")
    ours = load(kind, tmp_path / "ours.safetensors")
    assert_same(ours, network)
    assert done.n_parameters == sum(weights.numel() for weights in network.parameters())
    assert done.sha256 == hashlib.sha256((tmp_path / "ours.safetensors").read_bytes()).hexdigest()
    assert done.source_sha256 == hashlib.sha256((tmp_path / "peer.pt").read_bytes()).hexdigest()


def test_importing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    peer_file(tmp_path / "peer.pt", "syncnet")
    for name in ("a", "b"):
        import_weights("syncnet", tmp_path / "peer.pt", tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_word_pieces_come_along_and_make_an_observer(
    tmp_path: Path, fairseq: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = ["bin blue at f two now", "set white with p two soon"] * 4
    pieces = Tokenizer(train_tokenizer(sentences, TokenizerParams(vocabulary=30, corpora=())))
    processor = sys.modules["sentencepiece"].SentencePieceProcessor
    monkeypatch.setattr(processor, "model", pieces.model)
    dictionary = fairseq.Dictionary()
    dictionary.symbols = [*SPECIAL, *pieces.pieces()]
    reader = LipReader(READER.__class__(**{**vars(READER), "vocabulary": len(pieces)}))
    task = {"target_dictionary": dictionary, "s2s_tokenizer": fairseq.SentencepieceBPE()}
    torch.save({**peer_content("av_hubert_seq2seq", reader), "task_state": task}, tmp_path / "peer.pt")
    monkeypatch.undo()  # fairseq is gone
    done = import_weights("av_hubert_seq2seq", tmp_path / "peer.pt", tmp_path / "ours.safetensors")
    assert done.n_pieces == len(pieces)
    assert read_tokenizer(tmp_path / "ours.safetensors") == read_tokenizer(tmp_path / "peer.pt")
    for file in ("peer.pt", "ours.safetensors"):
        observer = published_observer(tmp_path / file)
        assert_same(observer.model, reader.eval())
        assert observer.tokenizer.pieces() == tuple(dictionary.symbols[UNK + 1 :])
        assert observer.tokenizer.decode(pieces.encode("set blue at p now")) == "set blue at p now"
    again = import_weights("av_hubert_seq2seq", tmp_path / "ours.safetensors", tmp_path / "again.safetensors")
    assert again.n_pieces == done.n_pieces
    assert sentencepiece.SentencePieceProcessor(model_proto=pieces.model).get_piece_size() == len(pieces)


def test_damaged_word_pieces_are_named(tmp_path: Path, fairseq: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small("av_hubert_seq2seq")
    task = {"target_dictionary": fairseq.Dictionary(), "s2s_tokenizer": None}
    torch.save({**peer_content("av_hubert_seq2seq", network), "task_state": task}, tmp_path / "peer.pt")
    monkeypatch.undo()
    with pytest.raises(UserError, match="no SentencePiece model"):
        import_weights("av_hubert_seq2seq", tmp_path / "peer.pt", tmp_path / "ours.safetensors")
    assert list(tmp_path.iterdir()) == [tmp_path / "peer.pt"]


@pytest.mark.parametrize(
    "fault", ["other kind", "missing entry", "extra entry", "other shape", "truncated", "no such file", "no such kind"]
)
def test_a_file_that_is_not_right_leaves_nothing_behind(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "peer.pt"
    state = dict(small("wav2lip" if fault == "other kind" else "syncnet").state_dict())
    first = next(iter(state))
    if fault == "missing entry":
        del state[first]
    if fault == "extra entry":
        state["netfclip.9.weight"] = torch.zeros(3)
    if fault == "other shape":
        state[first] = state[first][:-1]
    torch.save(state, source)
    if fault == "truncated":
        source.write_bytes(source.read_bytes()[:-200])
    if fault == "no such file":
        source.unlink()
    before = set(tmp_path.iterdir())
    kind = "sincnet" if fault == "no such kind" else "syncnet"
    message = run("import", kind, str(source), "-o", str(tmp_path / "ours.safetensors"), monkeypatch=monkeypatch)
    assert str(message).startswith("error: ")
    assert len(str(message).splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("out", ["ours.pt", "nowhere/ours.safetensors"])
def test_an_impossible_place_is_refused(tmp_path: Path, out: str) -> None:
    peer_file(tmp_path / "peer.pt", "syncnet")
    with pytest.raises(UserError):
        import_weights("syncnet", tmp_path / "peer.pt", tmp_path / out)
    assert list(tmp_path.iterdir()) == [tmp_path / "peer.pt"]


def test_a_file_is_not_imported_over_itself(tmp_path: Path) -> None:
    peer_file(tmp_path / "peer.pt", "syncnet")
    import_weights("syncnet", tmp_path / "peer.pt", tmp_path / "ours.safetensors")
    with pytest.raises(UserError, match="is the file that is read"):
        import_weights("syncnet", tmp_path / "ours.safetensors", tmp_path / "ours.safetensors")


def test_verify_by_the_file_beside_and_by_hand(tmp_path: Path) -> None:
    peer_file(tmp_path / "peer.pt", "syncnet")
    done = import_weights("syncnet", tmp_path / "peer.pt", tmp_path / "ours.safetensors")
    assert verify(done.path) == done.sha256
    assert verify(done.path, done.sha256.upper()) == done.sha256
    subprocess.run(["sha256sum", "--check", "ours.safetensors.sha256"], cwd=tmp_path, check=True)
    blob = bytearray(done.path.read_bytes())
    blob[-1] ^= 1
    done.path.write_bytes(blob)
    with pytest.raises(UserError, match="has the SHA-256"):
        verify(done.path)
    with pytest.raises(UserError, match="no checksum"):
        verify(tmp_path / "peer.pt")
    with pytest.raises(UserError, match="no SHA-256"):
        verify(tmp_path / "peer.pt", "abc")


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    peer_file(tmp_path / "peer.pt", "syncnet")
    out = tmp_path / "ours.safetensors"
    assert run("import", "syncnet", str(tmp_path / "peer.pt"), "-o", str(out), "--json", monkeypatch=monkeypatch) == 0
    digest = json.loads(capsys.readouterr().out)["sha256"]
    assert run("verify", str(out), monkeypatch=monkeypatch) == 0
    assert digest in capsys.readouterr().out
    assert "has the SHA-256" in str(run("verify", str(out), "--sha256", "0" * 64, monkeypatch=monkeypatch))
    assert run("list", "--json", monkeypatch=monkeypatch) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(PUBLISHED)
    assert run("list", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert all(row.licence in shown and row.obtain in shown for row in PUBLISHED)


def test_the_catalogue_knows_every_kind_of_a_peer() -> None:
    assert {row.kind for row in PUBLISHED} == {name for name, kind in KINDS.items() if kind.sizes is not None}
