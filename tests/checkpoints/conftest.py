from __future__ import annotations

import sys
from types import ModuleType

import pytest


@pytest.fixture
def fairseq(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Classes with the peers' names, here only while a file is written."""
    dictionary = ModuleType("fairseq.data.dictionary")
    sentencepiece = ModuleType("sentencepiece")

    class Dictionary:
        def __init__(self) -> None:
            self.symbols = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "b"]
            self.indices = {symbol: number for number, symbol in enumerate(self.symbols)}

    class SentencePieceProcessor:
        model = b"\x0a\x05model\xff"

        def __getstate__(self) -> bytes:
            return self.model

        def __setstate__(self, state: bytes) -> None:
            raise AssertionError("foreign code ran")

    class SentencepieceBPE:
        def __init__(self) -> None:
            self.sp = SentencePieceProcessor()

    homes = ((dictionary, Dictionary), (sentencepiece, SentencePieceProcessor), (dictionary, SentencepieceBPE))
    for module, cls in homes:
        cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
        setattr(module, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "fairseq", ModuleType("fairseq"))
    return dictionary
