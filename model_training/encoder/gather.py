"""Gather the rows of all processes that train together, with gradients."""

from typing import Any

import torch
from torch import Tensor, distributed


def gather_rows(own: Tensor) -> Tensor:
    """Return the rows of all processes by rank, `[world * N, ...]`; `own` if there is one process.

    Every process must compute the same function of the result, such as a loss over the joined
    batch. The gradient then needs no communication: each process computes the same gradient, keeps
    its own rows and multiplies them by the number of processes, because DistributedDataParallel
    averages over processes while the gradient of the joined batch is a sum.

    Args:
        own: `[N, ...]`, this process's rows, of equal shape and dtype in every process.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return own
    joined: Tensor = _Gather.apply(own)  # type: ignore[no-untyped-call]
    return joined


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        world = distributed.get_world_size()
        # [world * N, ...] -> [N, ...]
        return gradients[0].chunk(world)[distributed.get_rank()] * world
