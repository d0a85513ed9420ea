"""The audio of a generator's batch: by kind, and never what is not there."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from synctalk.training.generator_batches import TalkingFaceBatch


def batch(**held: Any) -> TalkingFaceBatch:
    return TalkingFaceBatch(**{field.name: held.get(field.name) for field in fields(TalkingFaceBatch)})


def test_each_kind_is_its_own() -> None:
    fbank, mel = torch.ones(1, 2, 104), torch.zeros(1, 2, 80, 16)
    made = batch(speech=SimpleNamespace(audio=fbank), mel=mel)
    assert made.audio("fbank") is fbank
    assert made.audio("mel") is mel


def test_mel_windows_that_were_not_made_are_asked_for_in_vain() -> None:
    with pytest.raises(ValueError, match="without mel windows"):
        batch(speech=SimpleNamespace(audio=torch.ones(1, 2, 104))).audio("mel")
