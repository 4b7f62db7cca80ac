"""Parts that both encoders share: the transformer block and selection by sensor."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def select_by_modality(modality: Tensor, optical: Tensor, sar: Tensor) -> Tensor:
    """Select the optical or the SAR variant of each row; return `[N, ...]`.

    Args:
        modality: int64 `[N]`, 0 optical, 1 SAR.
        optical: `[N, ...]`.
        sar: `[N, ...]`, the same shape.
    """
    is_sar = (modality == 1).view(-1, *([1] * (optical.dim() - 1)))  # [N] -> [N, 1, ..., 1]
    return torch.where(is_sar, sar, optical)


class Attention(nn.Module):
    """Multi-head self-attention: `[N, T, D]` -> `[N, T, D]`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend from every token to every token."""
        count, width = tokens.shape[1], tokens.shape[2]
        # [N, T, 3 D] -> [N, T, 3, heads, D / heads]
        qkv = self.qkv(tokens).view(-1, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [N, heads, T, D / heads]
        mixed = _attend(query, key, value)
        # [N, heads, T, D / heads] -> [N, T, heads, D / heads] -> [N, T, D]
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(-1, count, width))
        return projected


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Apply attention, on CPUs at full precision: its gradient takes a third of the time there."""
    if query.device.type != "cpu" or query.dtype == torch.float32:
        return F.scaled_dot_product_attention(query, key, value)
    with torch.autocast("cpu", enabled=False):
        full = F.scaled_dot_product_attention(query.float(), key.float(), value.float())
    return full.to(query.dtype)


class Mlp(nn.Module):
    """Two linear layers with GELU between them; the hidden layer is four times as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map each token `[N, T, D]` separately."""
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class Block(nn.Module):
    """Pre-norm transformer block (ViT), LayerNorm eps 1e-6.

    Args:
        width: D.
        drop_path: chance that a branch is left out in training, drawn per row and branch
            (stochastic depth, Huang et al., arXiv 1603.09382); kept branches are scaled up, so
            that the expected sum is the one of evaluation.
    """

    def __init__(self, width: int, heads: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[N, T, D]` to `[N, T, D]`."""
        tokens = tokens + self._kept(self.attn(self.norm1(tokens)))
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _kept(self, branch: Tensor) -> Tensor:
        """Leave out the branch of random rows in training."""
        if not self.training or not self.drop_path:
            return branch
        keep = 1 - self.drop_path
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep) / keep
