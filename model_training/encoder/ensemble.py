"""Combine several encoders into one whose cosine is the mean of the members' cosines.

The embedding is the members' unit embeddings side by side, divided by the root of their number n:

    e(x) = [u_1(x), ..., u_n(x)] / sqrt(n),    u_i(x) = f_i(x) / |f_i(x)|

It has unit length, and the cosine of two of them is the mean of the members' cosines:
e(x) . e(y) = (u_1(x) . u_1(y) + ... + u_n(x) . u_n(y)) / n. So a service that knows one embedding
and one cosine serves an ensemble as it serves one encoder.

Members may see the chip at different sizes: the picture comes at the largest, and is averaged down
for the others.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Shrunk(nn.Module):
    """An encoder of smaller pictures behind one of larger ones.

    Averaging lowers the contrast of a picture, so a picture that was standardised per chip is
    standardised again, as serving does after its resize (`service.contract.preprocess.normalise`).
    """

    def __init__(self, member: nn.Module, factors: tuple[int, int], *, per_chip: bool) -> None:
        """Wrap an encoder.

        Args:
            member: takes pictures `[N, 3, H / factors[0], W / factors[1]]`.
            factors: how many rows and columns are averaged into one.
            per_chip: whether pictures are standardised per chip.
        """
        super().__init__()
        self.member, self.factors, self.per_chip = member, factors, per_chip

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Embed chips `[N, 3, H, W]`, see `Ensemble.forward`."""
        small = F.avg_pool2d(pixels, self.factors)
        if self.per_chip:
            small = small - small.mean((1, 2, 3), keepdim=True)
            small = small / small.square().mean((1, 2, 3), keepdim=True).add(1e-6).sqrt()
        embedding: Tensor = self.member(small, modality, size)
        return embedding


class Ensemble(nn.Module):
    """Separately trained encoders of equal input; the module's docstring defines the embedding."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        """Combine encoders.

        Args:
            members: each takes `forward`'s arguments and yields `[N, D_i]`; widths may differ.

        Raises:
            ValueError: there are fewer than two members.
        """
        super().__init__()
        if len(members) < 2:
            raise ValueError(f"an ensemble has at least two members, got {len(members)}")
        self.members = nn.ModuleList(members)

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Embed chips; return float32 `[N, D_1 + ... + D_n]`, unit rows.

        Args:
            pixels: float32 `[N, 3, H, W]`, normalised.
            modality: int64 `[N]`, 0 optical, 1 SAR.
            size: float32 `[N, 3]`, the size token.
        """
        units = [F.normalize(member(pixels, modality, size), dim=1) for member in self.members]
        return torch.cat(units, 1) / math.sqrt(len(units))
