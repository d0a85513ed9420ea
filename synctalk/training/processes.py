"""Training in several processes, one a GPU: under torchrun each process goes through its share of every batch.

Gradients are summed by one call a step and not by `DistributedDataParallel`: modality dropout and frozen parts leave
parameters without a gradient in some processes and not in others, which it does not allow without a search of the
graph each step. One process needs nothing of this: every function then does nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from synctalk.errors import UserError
from synctalk.runtime.device import set_threads, torch_device
from synctalk.runtime.scratch import scratch

BUCKET_ELEMENTS = 2**24
"""Gradient elements that are sent at a time."""


def n_processes() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def leads() -> bool:
    """Whether this process writes checkpoints, curves and models, and shows progress."""
    return rank() == 0


def begin_training() -> None:
    """Set torch's threads, and join the other processes.

    SYNCTALK_PROCESSES above 1 begins the running stage anew under torchrun with so many processes. Their number is part
    of what makes two runs equal to the bit.

    Raises:
        UserError: SYNCTALK_PROCESSES is no positive number.
    """
    wanted = os.environ.get("SYNCTALK_PROCESSES", "1")
    if not wanted.isdigit() or int(wanted) < 1:
        raise UserError("SYNCTALK_PROCESSES", f"is {wanted!r}", "set it to a number of processes")
    if int(wanted) > 1 and "WORLD_SIZE" not in os.environ:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", wanted]
        stage = sys.modules["__main__"].__spec__
        assert stage is not None, "stages are begun by `python -m`"
        sys.stdout.flush()
        os.execv(sys.executable, [*launch, "-m", stage.name, *sys.argv[1:]])  # noqa: S606  # no shell is wanted
    set_threads()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        if torch_device().type == "cuda":
            torch.cuda.set_device(torch_device())
        dist.init_process_group("nccl" if torch_device().type == "cuda" else "gloo")


def own_share(numbers: Sequence[int], micro_batches: int) -> list[list[int]]:
    """This process's part of a batch, in micro-batches; all parts together are the batch, in its order.

    Raises:
        UserError: there are fewer clips than parts.
    """
    parts = n_processes() * micro_batches
    if len(numbers) < parts:
        raise UserError(
            f"a batch of {len(numbers)} clips",
            f"cannot be shared by {n_processes()} processes with {micro_batches} micro-batches each",
            "raise batch_clips or batch_frames, or lower micro_batches or SYNCTALK_PROCESSES",
        )
    shares = [part.tolist() for part in np.array_split(np.asarray(numbers), parts)]
    return shares[rank() * micro_batches : (rank() + 1) * micro_batches]


def sums(values: Mapping[str, float]) -> dict[str, float]:
    """Sums of named numbers over all processes."""
    if n_processes() == 1:
        return dict(values)
    row = torch.tensor([float(value) for value in values.values()], dtype=torch.float64, device=_wire())
    dist.all_reduce(row)
    return dict(zip(values, row.tolist(), strict=True))


def mean_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Let the gradient of every parameter be its mean over the processes; one that has none counts as 0.

    A parameter that has a gradient in no process keeps none.
    """
    if n_processes() == 1:
        return
    present = torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=_wire())
    dist.all_reduce(present, op=dist.ReduceOp.MAX)
    shared = [parameter for parameter, there in zip(parameters, present.tolist(), strict=True) if there]
    for parameter in shared:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    _mean_in_place([parameter.grad for parameter in shared if parameter.grad is not None])


def mean_statistics(modules: Iterable[nn.Module]) -> None:
    """Let running statistics (of batch norm, which sees a process's own share of a batch) be their mean."""
    if n_processes() > 1:
        _mean_in_place([row for module in modules for row in module.buffers() if row.is_floating_point()])


def same_weights(modules: Iterable[nn.Module]) -> None:
    """Give every process the weights of the first."""
    if n_processes() > 1:
        for module in modules:
            for row in module.state_dict().values():
                dist.broadcast(row, src=0)


@contextmanager
def shared_scratch(stage: str, *parts: object) -> Iterator[Path]:
    """`scratch`, taken by the first process and used by all."""
    if n_processes() == 1:
        with scratch(stage, *parts) as folder:
            yield folder
        return
    told: list[str | None] = [None]
    if leads():
        with scratch(stage, *parts) as folder:
            dist.broadcast_object_list([str(folder)], src=0)
            yield folder
            dist.barrier()
    else:
        dist.broadcast_object_list(told, src=0)
        yield Path(str(told[0]))
        dist.barrier()


def _wire() -> torch.device:
    """Where tensors lie that processes exchange."""
    return torch_device() if dist.get_backend() == "nccl" else torch.device("cpu")


def _mean_in_place(rows: Sequence[Tensor]) -> None:
    """Mean of each tensor over the processes, sent in buckets."""
    bucket: list[Tensor] = []
    for number, row in enumerate(rows):
        bucket.append(row)
        if sum(held.numel() for held in bucket) >= BUCKET_ELEMENTS or number == len(rows) - 1:
            flat = torch.cat([held.detach().flatten() for held in bucket])
            dist.all_reduce(flat)
            flat /= n_processes()
            for held, mean in zip(bucket, torch.split(flat, [held.numel() for held in bucket]), strict=True):
                held.detach().copy_(mean.view_as(held))
            bucket = []
