from __future__ import annotations

import os
import pickle
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from small_networks import SPEECH_CFG, assert_same, small
from torch import nn

from synctalk.checkpoints import load, read_tokenizer
from synctalk.errors import UserError

# fairseq's objects


@pytest.mark.parametrize("protocol", [2, 4])
def test_fairseq_objects_need_no_fairseq(
    tmp_path: Path, fairseq: ModuleType, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    network = small("av_hubert_seq2seq")
    task_state = {
        "dictionaries": [fairseq.Dictionary()],
        "target_dictionary": fairseq.Dictionary(),
        "s2s_tokenizer": fairseq.SentencepieceBPE(),
    }
    model = {"decoder_attention_heads": 2, "w2v_args": {"model": SPEECH_CFG}}
    path = tmp_path / "finetuned.pt"
    torch.save(
        {"cfg": {"model": model}, "model": network.state_dict(), "task_state": task_state},
        path,
        pickle_protocol=protocol,
    )
    torch.save(task_state, tmp_path / "task_state.pt", pickle_protocol=protocol)
    for name in ("fairseq.data.dictionary", "sentencepiece", "fairseq"):
        monkeypatch.delitem(sys.modules, name)
    assert_same(load("av_hubert_seq2seq", path), network)
    for file in (path, tmp_path / "task_state.pt"):
        tokenizer = read_tokenizer(file)
        assert tokenizer.pieces[4:] == ("▁a", "b")
        assert tokenizer.sentencepiece == b"\x0a\x05model\xff"


def test_a_file_without_a_tokenizer(tmp_path: Path) -> None:
    torch.save(small("syncnet").state_dict(), tmp_path / "syncnet.model")
    with pytest.raises(UserError, match="holds no tokenizer"):
        read_tokenizer(tmp_path / "syncnet.model")


# pickles that would run code


class Attack:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("attack", ["system", "eval", "getattr", "load"])
def test_nothing_in_a_file_is_run(tmp_path: Path, attack: str, zipped: bool) -> None:
    witness = tmp_path / "witness"
    evil = {
        "system": Attack(os.system, f"touch {witness}"),
        "eval": Attack(eval, f"open({str(witness)!r}, 'w')"),
        "getattr": Attack(getattr, os, "system"),
        "load": Attack(torch.load, "other.pt"),
    }[attack]
    path = tmp_path / "evil.pt"
    saved = {"state_dict": small("syncnet").state_dict(), "optimizer": evil}
    if attack == "getattr":
        saved = {"state_dict": saved["state_dict"], "optimizer": Attack(getattr, Namespace, "__init__")}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="could run code") as caught:
        load("syncnet", path)
    assert len(str(caught.value).splitlines()) == 1
    assert not witness.exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Attack(os.system, "true")))
    with pytest.raises(UserError):
        load("syncnet", tmp_path / "evil.pkl")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(nn.ReLU()).save(str(tmp_path / "script.pt"))
    with pytest.raises(UserError, match="TorchScript"):
        load("syncnet", tmp_path / "script.pt")
