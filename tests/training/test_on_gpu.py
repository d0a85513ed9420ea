"""On a GPU the first step of a method's training is that of the CPU, term by term. `pytest -m gpu`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from overfit import OPTIM, curve, train_generator
from tiny import CROP, NETWORKS, reader, samples, tokenizer
from training.test_train_generator import ALL_TERMS, TRAIN

from synctalk.training.generator import begin_generator

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.mark.parametrize("anchor", ["tuned", "frozen"])
def test_the_first_step_is_that_of_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    cache, pieces = samples(tmp_path / "shards", 2), tokenizer()
    method = replace(ALL_TERMS, audio_anchor=anchor)
    found = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("SYNCTALK_DEVICE", device)
        (tmp_path / device).mkdir()
        torch.manual_seed(0)
        watcher = reader(vocabulary=len(pieces))
        model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
        state = train_generator(
            model, discriminator, watcher, cache, pieces, method,
            replace(TRAIN, optim=replace(OPTIM, steps=1)), crop=CROP, seed=2, folder=tmp_path / device
        )  # fmt: skip
        assert next(model.parameters()).device.type == device
        found[device] = {name: curve(state, name)[0] for name in ("reconstruction", "lip_reading", "contrastive")}
    assert found["cuda"] == pytest.approx(found["cpu"], rel=2e-3)
