"""Train the tiny reader or generator in several processes, of which number 1 may die at a step. See test_step.py.

    torchrun shared_run.py WHAT FOLDER KILL_AT      in the processes that torchrun began
    python shared_run.py [WHAT FOLDER KILL_AT N]... one run after the other, in N processes that are forked here

The second prints whether each run came to its end: a process that dies takes the others along, as under torchrun.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimisers do it otherwise, in each process anew
from overfit import train_generator as run_generator
from test_step import GENERATING, READING
from test_train_generator import ALL_TERMS
from tiny import CROP, NETWORKS, reader, samples, tokenizer
from torch import multiprocessing, nn

from synctalk.shards.cache import SampleCache
from synctalk.training import fit as fitting
from synctalk.training import loop
from synctalk.training.finetune import FinetuneTask
from synctalk.training.generator import begin_generator
from synctalk.training.loop import TrainState
from synctalk.training.optim import Optimizer
from synctalk.training.processes import begin_training, rank, shared_scratch


def train_reader(cache: SampleCache, folder: Path) -> tuple[nn.Module, TrainState]:
    model = reader()
    return model, fitting.fit(
        FinetuneTask(model, cache, tokenizer(), READING, crop=CROP, seed=1), folder=folder, label="test"
    )


def train_generator(cache: SampleCache, folder: Path) -> tuple[nn.Module, TrainState]:
    pieces = tokenizer()
    watcher = reader(vocabulary=len(pieces))
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    state = run_generator(
        model, discriminator, watcher, cache, pieces, ALL_TERMS, GENERATING, crop=CROP,
        seed=2, folder=folder
    )  # fmt: skip
    return nn.ModuleDict({"generator": model, "discriminator": discriminator}), state


def main(what: str, folder: Path, kill_at: int) -> None:
    begin_training()
    loop.SAVE_EVERY_S = 0.0
    real = fitting.training_step

    def training_step(task: fitting.Task[Any], optimizer: Optimizer, step: int) -> dict[str, float]:
        if step == kill_at and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(task, optimizer, step)

    fitting.training_step = training_step  # type: ignore[assignment]
    os.chdir(folder)
    cache = samples(folder / f"shards-{rank()}", 6)
    torch.manual_seed(1)
    with shared_scratch("test") as scratch:
        model, state = (train_reader if what == "reader" else train_generator)(cache, scratch)
        names = dict.fromkeys(name for _, name, _ in state.curves)
        rows = {name: [value for _, of, value in state.curves if of == name] for name in names}
        torch.save(model.state_dict(), folder / f"weights-{rank()}.pt")
        (folder / f"curves-{rank()}.json").write_text(json.dumps(rows))


def one_of(number: int, n: int, port: int, what: str, folder: Path, kill_at: int) -> None:
    """What torchrun does in process `number` of `n`."""
    os.environ |= {
        "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    main(what, folder, kill_at)


def ends_in_forks(what: str, folder: Path, kill_at: int, n: int) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    try:
        multiprocessing.start_processes(one_of, (n, port, what, folder, kill_at), n, start_method="fork")
    except multiprocessing.ProcessExitedException:
        return False
    return True


if __name__ == "__main__":
    if "WORLD_SIZE" in os.environ:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        words = iter(sys.argv[1:])
        runs = zip(words, words, words, words, strict=True)
        ended = [ends_in_forks(what, Path(folder), int(kill_at), int(n)) for what, folder, kill_at, n in runs]
        print(json.dumps(ended))
