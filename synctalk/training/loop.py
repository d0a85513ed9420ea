"""The training loop: steps by number, resumable after kill -9 with the same weights to the bit (same machine and
threads).

A step is a pure function of the state and its number: random numbers are reseeded from (seed, step), and batches are
drawn from (seed, step) too, so a checkpoint holds the step, the weights and the optimisers, and nothing else.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from synctalk.checkpoints.torch_file import DAMAGE
from synctalk.errors import UserError
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar
from synctalk.training.processes import leads, mean_statistics, rank, same_weights

SAVE_EVERY_S = 60.0
"""Seconds between checkpoints: how much work a kill may cost."""
MAX_FAULTS = 3
"""Steps in a row with a loss or gradient that is not finite after which a run ends."""


class Stateful(Protocol):
    """What a checkpoint keeps besides modules: optimisers; `norm` is that of the last gradient."""

    norm: float

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class TrainState:
    """Everything a training run owns.

    Attributes:
        modules: networks, by name.
        optimizers: by name.
        step: steps done.
        curves: rows of (step, name, value) for the plots.
        faults: steps so far with a loss or gradient that was not finite.
        faults_in_row: those since the last finite step.
    """

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Stateful]
    step: int = 0
    curves: list[tuple[int, str, float]] = field(default_factory=list)
    faults: int = 0
    faults_in_row: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint, by way of a temporary file."""
        temporary = path.with_suffix(".tmp")
        saved = {
            "step": self.step,
            "curves": self.curves,
            "faults": [self.faults, self.faults_in_row],
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        try:
            with temporary.open("wb") as file:  # torch's own writer does not say that a disk is full
                torch.save(saved, file)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Take over a checkpoint of the same run.

        Raises:
            UserError: it is damaged.
        """
        try:
            saved = torch.load(path, weights_only=True, map_location="cpu")
            for name, module in self.modules.items():
                module.load_state_dict(saved["modules"][name])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(saved["optimizers"][name])
            self.step = saved["step"]
            self.curves = [(step, name, value) for step, name, value in saved["curves"]]
            self.faults, self.faults_in_row = saved["faults"]
        except DAMAGE as error:
            raise UserError(path, "is a damaged checkpoint", "delete it: training then begins anew") from error


def step_seed(seed: int, step: int, process: int = 0) -> int:
    """One seed for each step of each run, another in each process."""
    return int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def repeatable() -> Iterator[None]:
    """Deterministic algorithms inside, on a CPU: accumulating into an index is a race of its threads otherwise.

    CUDA is left as it is: some of what training needs has no deterministic form there.
    """
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or torch_device().type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def note_faults(state: TrainState, scalars: dict[str, float], label: str) -> None:
    """Count a step whose losses or gradients are not all finite and say so in one line.

    Raises:
        UserError: it is the last of `MAX_FAULTS` in a row; the line names the first such value and the step.
    """
    norms = {f"gradient of {name}": optimizer.norm for name, optimizer in state.optimizers.items()}
    found = [f"{name} is {value}" for name, value in (scalars | norms).items() if not math.isfinite(value)]
    if not found:
        state.faults_in_row = 0
        return
    state.faults += 1
    state.faults_in_row += 1
    what = f"{found[0]} at step {state.step}"
    if state.faults_in_row >= MAX_FAULTS:
        raise UserError(label, f"{what}, step {MAX_FAULTS} of its kind in a row", "lower the learning rate")
    if leads():
        tqdm.write(f"{label}: {what}; gradients that are not finite change nothing ({state.faults} so far)", sys.stderr)


def run_steps(
    state: TrainState,
    n_steps: int,
    train_step: Callable[[int], dict[str, float]],
    *,
    seed: int,
    folder: Path,
    label: str,
    log_every: int = 10,
) -> None:
    """Train until `n_steps` steps are done, going on from `folder/checkpoint.pt` where there is one.

    Args:
        state: is trained in place.
        n_steps: steps of the whole run.
        train_step: does step number s and returns named scalars.
        seed: of the run.
        folder: scratch folder of the run.
        label: of the progress bar.
        log_every: steps between rows of the curves; a step that was validated has its own.

    Raises:
        UserError: losses or gradients were not finite for `MAX_FAULTS` steps in a row, see `note_faults`.
    """
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state.load(checkpoint)
    same_weights(state.modules.values())
    saved_at = time.monotonic()
    shown = {"total": n_steps, "initial": state.step, "desc": label, "unit": "step", "disable": not leads()}
    with progress_bar(**shown) as bar, repeatable():
        while state.step < n_steps:
            torch.manual_seed(step_seed(seed, state.step, rank()))
            scalars = train_step(state.step)
            mean_statistics(state.modules.values())
            note_faults(state, scalars, label)
            if state.step % log_every == 0 or state.step == n_steps - 1 or "validation" in scalars:
                state.curves += [
                    (state.step, name, float(value)) for name, value in scalars.items() if math.isfinite(value)
                ]
                bar.set_postfix({name: f"{value:.3g}" for name, value in scalars.items()})
            state.step += 1
            bar.update()
            if leads() and time.monotonic() - saved_at > SAVE_EVERY_S:
                state.save(checkpoint)
                saved_at = time.monotonic()
    if leads():
        state.save(checkpoint)


def write_curves(path: Path, curves: list[tuple[int, str, float]]) -> None:
    """Write the curves as CSV, one row a logged step, one column a scalar: what `dvc plots` draws."""
    names = list(dict.fromkeys(name for _, name, _ in curves))
    steps: dict[int, dict[str, float]] = {}
    for step, name, value in curves:
        steps.setdefault(step, {})[name] = value
    lines = [",".join(["step", *names])]
    for step, values in steps.items():
        lines.append(",".join([str(step), *(f"{values[name]:.6g}" if name in values else "" for name in names)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
