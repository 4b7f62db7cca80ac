"""Join the processes of a run that torchrun started, and choose the device."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import distributed

from model_training.training.config import RunConfig


class DeviceError(Exception):
    """A config requires a device that this machine does not have."""


@dataclass(frozen=True, slots=True)
class Worker:
    """This process among those that train together; rank 0 of 1 unless started by torchrun."""

    rank: int
    world: int
    device: torch.device


@contextlib.contextmanager
def join_workers(config: RunConfig) -> Iterator[Worker]:
    """Join the other processes if torchrun started this one, and choose the device.

    Raises:
        DeviceError: the config requires `cuda` and there is no CUDA device.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device: cuda is configured, but torch finds no CUDA device; use cpu")
    cuda = config.device != "cpu" and torch.cuda.is_available()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if "RANK" not in os.environ:
        yield Worker(0, 1, torch.device("cuda" if cuda else "cpu"))
        return
    # DDP imports this module, whose functions keep the group of that moment as a default argument.
    # Such a group and its threads would outlive `destroy_process_group`: import it before there is
    # one.
    importlib.import_module("torch.distributed.nn.functional")
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        local = int(os.environ["LOCAL_RANK"])
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        yield Worker(distributed.get_rank(), distributed.get_world_size(), device)
        # The others may still wait for what this process sends. `barrier` of gloo ends in a thread
        # that needs the interpreter lock, which this thread may hold while it waits for that
        # thread's end below. `monitored_barrier` has no thread.
        if cuda:
            distributed.barrier()
        else:
            distributed.monitored_barrier()
    finally:
        distributed.destroy_process_group()
