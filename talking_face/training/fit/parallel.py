"""Training on the CPU or a GPU, or on several: `torchrun --nproc-per-node N -m MODULE …`.

Each process draws batches of its own, and all take every step together, with the mean of their
gradients. Only the first writes files. Without `torchrun` there is one process, the first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor


def start() -> None:
    """Join the other processes, where `torchrun` started this one."""
    if "LOCAL_RANK" in os.environ:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def stop() -> None:
    """Part from the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def device() -> torch.device:
    """Where this process computes: its GPU, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def is_first() -> bool:
    """Whether this process is the one that writes and logs."""
    return _rank() == 0


def wait() -> None:
    """Until all processes are here: what the first has written is there then."""
    if dist.is_initialized():
        dist.barrier()


def generator(seed: int) -> np.random.Generator:
    """A source of random batches, another one in each process."""
    rank = _rank()
    return np.random.default_rng(seed if rank == 0 else [seed, rank])


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradients by their mean over the processes."""
    if not dist.is_initialized():
        return
    for parameter in parameters:
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0
