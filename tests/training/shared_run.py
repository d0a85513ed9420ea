"""Fine-tune the tiny reader in as many processes as torchrun began; process 1 may die at a step. See test_step.py."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from test_step import READING
from tiny import CROP, reader, samples, tokenizer

from synctalk.training import finetune as finetuning
from synctalk.training import loop
from synctalk.training.processes import begin_training, leads, rank, shared_scratch


def main(folder: Path, kill_at: int) -> None:
    begin_training()
    loop.SAVE_EVERY_S = 0.0
    real = finetuning.training_step

    def training_step(*given: object, **named: object) -> dict[str, float]:
        if given[1] == kill_at and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)  # type: ignore[arg-type]

    finetuning.training_step = training_step  # type: ignore[assignment]
    os.chdir(folder)
    cache = samples(folder / f"shards-{rank()}", 6)
    torch.manual_seed(1)
    model = reader()
    with shared_scratch("test") as scratch:
        state = finetuning.finetune(model, cache, tokenizer(), READING, crop=CROP, seed=1, folder=scratch, label="test")
        if leads():
            names = dict.fromkeys(name for _, name, _ in state.curves)
            rows = {name: [value for _, of, value in state.curves if of == name] for name in names}
            torch.save(model.state_dict(), folder / "weights.pt")
            (folder / "curves.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
