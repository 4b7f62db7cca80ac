"""The rows of all processes that train together, with gradients."""

from typing import Any

import torch
from torch import Tensor, distributed


def gather_rows(own: Tensor) -> Tensor:
    """Rows `[N, …]` of every process, by rank `[world * N, …]`; `own` where one trains alone.

    What is computed from the result must be computed alike by every process, as a loss over the
    joined batch is. The gradient then needs no traffic: each process knows the same one and keeps
    its own rows of it, times the number of processes, because DistributedDataParallel takes the
    mean where the gradient of the joined batch is the sum.

    Args:
        own: of equal shape and dtype in every process.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return own
    joined: Tensor = _Gather.apply(own)  # type: ignore[no-untyped-call]
    return joined


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        world = distributed.get_world_size()
        return gradients[0].chunk(world)[distributed.get_rank()] * world
