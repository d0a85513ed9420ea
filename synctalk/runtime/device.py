"""Which device and how many threads torch works with; the machine's settings, from the environment."""

from __future__ import annotations

import os

import torch


def torch_device() -> torch.device:
    """SYNCTALK_DEVICE, or CUDA where there is one (the process's own under torchrun), or the CPU."""
    default = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    return torch.device(os.environ.get("SYNCTALK_DEVICE", default))


def set_threads() -> None:
    """SYNCTALK_THREADS for torch on the CPU, or one a core; processes under torchrun share the cores out.

    The count is part of what makes two runs equal to the bit.
    """
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(int(os.environ.get("SYNCTALK_THREADS", max(1, cores))))
