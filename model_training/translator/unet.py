"""The bridge's network: a small U-Net of x_t, the optical picture and the time.

It works on 2 x 2 patches, so no layer runs at full resolution: a picture of 128 x 32 passes three
levels of 64 x 16, 32 x 8 and 16 x 4 positions, with self-attention along the hull at the lowest.
"""

import math

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from model_training.training.config import TypedConfig

PATCH = 2


class UNetConfig(TypedConfig):
    """Shape of the network; the defaults are the compact translator."""

    height: int = Field(128, ge=8, description="rows of a picture")
    width: int = Field(32, ge=8, description="columns of a picture")
    channels: int = Field(1, description="1: the bridge starts from luminance, 3: from RGB")
    widths: tuple[int, ...] = Field((32, 64, 128), min_length=1, description="channels per level")
    blocks: int = Field(1, ge=1, description="residual blocks per level on the way down")
    heads: int = Field(4, ge=1, description="attention heads at the lowest level")

    @model_validator(mode="after")
    def _shapes_fit(self) -> "UNetConfig":
        factor = PATCH * 2 ** (len(self.widths) - 1)
        if self.height % factor or self.width % factor:
            raise ValueError(f"height and width must be multiples of {factor} with these widths")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {self.channels}")
        if any(width % 8 for width in self.widths) or self.widths[-1] % self.heads:
            raise ValueError("widths must be multiples of 8, the last one of heads too")
        return self


class BridgeUNet(nn.Module):
    """x_t, condition, t -> grad (see `service.contract.bridge`)."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        time_width = 4 * widths[0]
        self.time = TimeEmbedding(time_width)
        self.stem = nn.Conv2d(config.channels + 3, widths[0], PATCH, stride=PATCH)
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        previous = widths[0]
        for level, width in enumerate(widths):
            self.down.append(
                nn.ModuleList(
                    ResidualBlock(previous if block == 0 else width, width, time_width)
                    for block in range(config.blocks)
                )
            )
            previous = width
            if level < len(widths) - 1:
                self.shrink.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
        self.middle_attention = SelfAttention(widths[-1], config.heads)
        self.middle = ResidualBlock(widths[-1], widths[-1], time_width)
        self.grow = nn.ModuleList()
        self.up = nn.ModuleList()
        for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.grow.append(nn.Conv2d(below, width, 3, padding=1))
            self.up.append(ResidualBlock(2 * width, width, time_width))
        self.last_norm = nn.GroupNorm(8, widths[0])
        self.head = nn.Conv2d(widths[0], config.channels * PATCH**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # the convolution has a bias

    def forward(self, x_t: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        """Predict grad = x_t - x0; return float32 `[N, C, h, w]`.

        Args:
            x_t: float32 `[N, C, h, w]`, the bridge at time t.
            condition: float32 `[N, 3, h, w]`, the optical picture, -1..1.
            t: int64 `[N]`, 0 … T-1.
        """
        time = self.time(t)  # [N, 4 W]
        x = self.stem(torch.cat([x_t, condition], dim=1))  # [N, W, h/2, w/2]
        skips = []
        for level, blocks in enumerate(self.down):
            for block in blocks:  # type: ignore[attr-defined]  # a ModuleList of ModuleLists
                x = block(x, time)
            if level < len(self.shrink):
                skips.append(x)
                x = self.shrink[level](x)
        x = self.middle(self.middle_attention(x), time)
        for grow, up in zip(self.grow, self.up, strict=True):
            x = grow(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = up(torch.cat([x, skips.pop()], dim=1), time)
        x = self.head(functional.silu(self.last_norm(x)))  # [N, 4 C, h/2, w/2]
        return functional.pixel_shuffle(x, PATCH)  # [N, C, h, w]


class TimeEmbedding(nn.Module):
    """Sinusoids of t (Vaswani et al. 2017, section 3.5), then a two-layer perceptron."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        rates = torch.exp(-math.log(10_000.0) * torch.arange(half) / half)
        self.register_buffer("frequencies", rates, persistent=False)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Map times int64 `[N]` to float32 `[N, width]`."""
        angles = t.to(self.frequencies.dtype)[:, None] * self.frequencies[None, :]  # [N, width / 2]
        embedded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return embedded


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions; the time scales and shifts between them.

    Source: Nichol and Dhariwal, arXiv 2102.09672, scale-shift norm.
    """

    def __init__(self, width_in: int, width_out: int, time_width: int) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(8, width_in)
        self.conv_in = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.modulate = nn.Linear(time_width, 2 * width_out)
        self.norm_out = nn.GroupNorm(8, width_out)
        self.conv_out = nn.Conv2d(width_out, width_out, 3, padding=1)
        self.shortcut: nn.Module = (
            nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)
        )
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map x float32 `[N, in, h, w]` and time `[N, time]` to `[N, out, h, w]`."""
        # [N, 2 out] -> [N, 2 out, 1, 1] -> twice [N, out, 1, 1]
        scale, shift = self.modulate(functional.silu(time))[:, :, None, None].chunk(2, dim=1)
        hidden = self.conv_in(functional.silu(self.norm_in(x)))
        hidden = self.norm_out(hidden) * (1 + scale) + shift
        result: Tensor = self.shortcut(x) + self.conv_out(functional.silu(hidden))
        return result


class SelfAttention(nn.Module):
    """Multi-head attention over all positions of the lowest level, added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 `[N, C, h, w]`, the same shape."""
        _, width, rows, columns = x.shape
        # [N, 3 C, h, w] -> [N, 3, heads, C / heads, positions]
        qkv = self.qkv(self.norm(x)).reshape(-1, 3, self.heads, width // self.heads, rows * columns)
        q, k, v = qkv.transpose(3, 4).unbind(dim=1)  # each [N, heads, positions, C / heads]
        mixed = functional.scaled_dot_product_attention(q, k, v)
        # [N, heads, positions, C / heads] -> [N, heads, C / heads, positions] -> [N, C, h, w]
        attended: Tensor = self.out(mixed.transpose(2, 3).reshape(-1, width, rows, columns))
        return x + attended
