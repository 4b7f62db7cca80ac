"""Combine several encoders into one whose cosine is the mean of the members' cosines.

The embedding is the members' unit embeddings side by side, divided by the root of their number n:

    e(x) = [u_1(x), ..., u_n(x)] / sqrt(n),    u_i(x) = f_i(x) / |f_i(x)|

It has unit length, and the cosine of two of them is the mean of the members' cosines:
e(x) . e(y) = (u_1(x) . u_1(y) + ... + u_n(x) . u_n(y)) / n. So a service that knows one embedding
and one cosine serves an ensemble as it serves one encoder.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        """Embed chips.

        Args:
            pixels: float32 `[N, 3, H, W]`, normalised.
            modality: int64 `[N]`, 0 optical, 1 SAR.
            size: float32 `[N, 3]`, the size token.

        Returns:
            float32 `[N, D_1 + ... + D_n]`, unit rows.
        """
        units = [F.normalize(member(pixels, modality, size), dim=1) for member in self.members]
        return torch.cat(units, 1) / math.sqrt(len(units))
