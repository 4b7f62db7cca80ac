"""Parts that both encoders share: the transformer block and selection by sensor."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def select_by_modality(modality: Tensor, optical: Tensor, sar: Tensor) -> Tensor:
    """Row by row the optical or the SAR variant; modality int64 `[N]`, others `[N, …]`."""
    chosen = (modality == 1).view(-1, *([1] * (optical.dim() - 1)))
    return torch.where(chosen, sar, optical)


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
        count, width = tokens.shape[1], tokens.shape[2]
        qkv = self.qkv(tokens).view(-1, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(-1, count, width))
        return projected


class Mlp(nn.Module):
    """Two layers with GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class Block(nn.Module):
    """Pre-norm transformer block (ViT), LayerNorm eps 1e-6."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        mixed: Tensor = tokens + self.mlp(self.norm2(tokens))
        return mixed
