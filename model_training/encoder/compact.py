"""The small encoder that ships; it identifies a ship by where structures lie along the hull.

It consists of convolutions per sensor, a shared grid at 1/8 of the picture, a short transformer
that can shift evidence along the hull (crops differ), and a head without pooling: every token
contributes its own features at its own position. Size enters as a token and in the head.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.encoder.blocks import Block, select_by_modality
from model_training.encoder.config import CompactConfig, PlacedConfig
from service.contract.manifest import SizeTokenSpec

_SIZE_WAVES = (1.0, 2.0, 4.0)
_SIZE_FEATURES = 3 + 4 * len(_SIZE_WAVES)


class BySensor(nn.Module):
    """Two instances of a module, one per sensor; each row is mapped by its sensor's instance.

    Each instance gets its own rows only, so that batch statistics stay separate and nothing is
    computed twice. Code that only counts operations, on tensors without values, cannot divide a
    batch: it maps all rows with both instances.
    """

    def __init__(self, optical: nn.Module, sar: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList([optical, sar])

    def forward(self, rows: Tensor, modality: Tensor) -> Tensor:
        """Map rows `[N, ...]` of sensors `[N]`, 0 optical, 1 SAR."""
        if rows.is_meta:
            return select_by_modality(modality, self.parts[0](rows), self.parts[1](rows))
        places = [(modality == sensor).nonzero()[:, 0] for sensor in (0, 1)]
        if torch.compiler.is_exporting():
            return self._exported(rows, modality, places)
        outputs = [
            part(rows[place]) for part, place in zip(self.parts, places, strict=True) if len(place)
        ]
        # argsort inverts the permutation that put optical rows first
        return torch.cat(outputs)[torch.cat(places).argsort()]

    def _exported(self, rows: Tensor, modality: Tensor, places: list[Tensor]) -> Tensor:
        """Map rows in a graph whose number of rows of each sensor is unknown, and may be 0."""
        outputs = []
        for part, place in zip(self.parts, places, strict=True):
            # The exporter refuses convolutions of an unknown number of rows that may be 0 or 1.
            # The check is not part of the graph, and ONNX Runtime maps no rows to no rows.
            torch._check(place.shape[0] >= 2)  # type: ignore[no-untyped-call]
            outputs.append(part(rows.index_select(0, place)))
        optical, sar = ((modality == sensor).long() for sensor in (0, 1))
        ends = torch.where(sar == 1, optical.sum() + sar.cumsum(0), optical.cumsum(0))
        return torch.cat(outputs).index_select(0, ends - 1)


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU: `[N, C, h, w]` -> `[N, C', h / stride, w / stride]`."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions with a shortcut: `[N, C, h, w]` -> `[N, C, h, w]`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, grid: Tensor) -> Tensor:
        """Map a grid."""
        return F.relu(grid + self.second(self.first(grid)))


class Stem(nn.Module):
    """The first convolutions of one sensor: `[N, 3, H, W]` -> `[N, C, H/4, W/4]`."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.coarse = convolution(3, first, 2)
        self.body = nn.Sequential(convolution(first, second, 2), Residual(second))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels."""
        stemmed: Tensor = self.body(self.coarse(pixels))
        return stemmed


class SizeFeatures(nn.Module):
    """Features `[N, F]` of the size token `[N, 3]`: log length, log width, aspect, and sinusoids.

    Sinusoids of the logarithms let a linear layer compare sizes finely as well as coarsely.
    """

    def __init__(self, spec: SizeTokenSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("waves", math.pi * torch.tensor(_SIZE_WAVES), persistent=False)

    def forward(self, size: Tensor) -> Tensor:
        """Compute the features."""
        spec, waves = self.spec, self.get_buffer("waves")
        width = (size[:, 0] * spec.width_std + spec.width_mean) * spec.width_scale_m
        length = (size[:, 1] * spec.length_std + spec.length_mean) * spec.length_scale_m
        # relative to a ship of 120 x 25 m, so that the logarithms are near zero; at least 1 m
        logs = torch.stack(
            [(length.clamp(min=1) / 120).log(), (width.clamp(min=1) / 25).log()], dim=1
        )
        phases = (logs[:, :, None] * waves).flatten(1)  # [N, 2, waves] -> [N, 2 waves]
        aspect = size[:, 2:3] / 6 - 1
        return torch.cat([logs, aspect, phases.sin(), phases.cos()], 1)


@dataclass(frozen=True, slots=True)
class Eyes:
    """What turns a picture into a grid before there are tokens.

    Attributes:
        stem: a stem per sensor, `[N, 3, H, W]` -> `[N, C, …]`.
        shared: the grid of both sensors, `[N, C, …]` -> `[N, grid_width, H / r, W / r]`.
        reduction: r.
    """

    stem: BySensor
    shared: nn.Sequential
    reduction: int


def compact_eyes(config: CompactConfig) -> Eyes:
    """The eyes of the compact encoder: small convolutions, learnt from nothing."""
    shared = nn.Sequential(
        convolution(config.stem_widths[1], config.grid_width, 2),
        *(Residual(config.grid_width) for _ in range(config.grid_blocks)),
    )
    optical, sar = (Stem(*config.stem_widths) for _ in range(2))
    return Eyes(BySensor(optical, sar), shared, 8)


class PlacedEncoder(nn.Module):
    """Eyes, tokens, and the head that keeps places; `config` decides every width behind the eyes.

    Raises:
        ValueError: the eyes cannot divide a picture of the config's size.
    """

    def __init__(self, config: PlacedConfig, eyes: Eyes) -> None:
        super().__init__()
        self.config = config
        self.stem, self.shared = eyes.stem, eyes.shared
        spec, width, reduction = config.preprocess, config.width, eyes.reduction
        if spec.height % reduction or spec.width % reduction:
            raise ValueError(
                f"a picture of {spec.height} x {spec.width} does not divide by {reduction}"
            )
        self.grid = (spec.height // reduction, spec.width // reduction)
        self.to_tokens = nn.Linear(config.grid_width, width)
        self.size_features = SizeFeatures(spec.size_token)
        self.size_token = nn.Linear(_SIZE_FEATURES, width)
        self.register_buffer("positions", sincos_positions(self.grid, width), persistent=False)
        self.place = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], width))
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.token_head = nn.Linear(width, config.token_features)
        flat = self.grid[0] * self.grid[1] * config.token_features
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(flat + width + _SIZE_FEATURES, config.embedding_width)
        self.neck = BySensor(
            nn.BatchNorm1d(config.embedding_width), nn.BatchNorm1d(config.embedding_width)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def tokens(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Return all tokens after the final norm, `[N, T + 1, D]`: grid row by row, then size."""
        grid = self.shared(self.stem(pixels, modality))  # [N, C, h, w]
        patches = self.to_tokens(grid.flatten(2).transpose(1, 2))  # [N, C, T] -> [N, T, C] -> D
        patches = patches + self.get_buffer("positions") + self.place
        sized = self.size_token(self.size_features(size))[:, None]  # [N, 1, D]
        sequence = torch.cat([patches, sized], 1)
        for block in self.blocks:
            sequence = block(sequence)
        normed: Tensor = self.norm(sequence)
        return normed

    def embed_tokens(self, tokens: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Apply the head: tokens `[N, T + 1, D]` -> embedding `[N, E]`."""
        placed = self.token_head(tokens[:, :-1]).flatten(1)  # [N, T, features] -> [N, T features]
        features = torch.cat([placed, tokens[:, -1], self.size_features(size)], 1)
        embedding: Tensor = self.neck(self.head(self.drop(features)), modality)
        return embedding

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Embed chips; return float32 `[N, E]`, not normalised.

        Args:
            pixels: float32 `[N, 3, H, W]`, normalised.
            modality: int64 `[N]`, 0 optical, 1 SAR.
            size: float32 `[N, 3]`, the size token.
        """
        if self.config.mirror_average and not self.training:
            views = torch.cat([pixels, pixels.flip(3)])  # [2 N, 3, H, W], mirror images second
            rows = self.embed(views, torch.cat([modality, modality]), torch.cat([size, size]))
            # [2 N, E] -> [2, N, E] -> [N, E]
            return F.normalize(rows, dim=1).reshape(2, -1, rows.shape[1]).mean(0)
        return self.embed(pixels, modality, size)

    def embed(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Embed chips as `forward` does, but never average with the mirror image."""
        return self.embed_tokens(self.tokens(pixels, modality, size), modality, size)

    def token_grid(self, tokens: Tensor) -> Tensor:
        """Return the grid tokens of `tokens()` as `[N, D, h, w]`."""
        # [N, T, D] -> [N, D, T] -> [N, D, h, w]
        return tokens[:, :-1].transpose(1, 2).reshape(-1, tokens.shape[2], *self.grid)


class CompactEncoder(PlacedEncoder):
    """The small encoder that learns from nothing, see the module's text."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__(config, compact_eyes(config))


def sincos_positions(grid: tuple[int, int], width: int) -> Tensor:
    """Return fixed two-dimensional sine-cosine positions, float32 `[1, h w, D]`.

    Three quarters of the channels encode the position along the hull, one quarter that across it.
    Source: MAE (He et al., arXiv 2111.06377), appendix A.
    """
    along, across = width * 3 // 4 // 2 * 2, width - width * 3 // 4 // 2 * 2

    def code(count: int, channels: int) -> Tensor:
        rates = 1.0 / 100 ** (torch.arange(channels // 2) / (channels // 2))
        angles = torch.arange(count)[:, None] * rates  # [count, channels / 2]
        return torch.cat([angles.sin(), angles.cos()], 1)

    rows = code(grid[0], along)[:, None].expand(-1, grid[1], -1)  # [h, w, along]
    columns = code(grid[1], across)[None].expand(grid[0], -1, -1)  # [h, w, across]
    # [h, w, D] -> [1, h w, D]
    return torch.cat([rows, columns], 2).reshape(1, grid[0] * grid[1], width)
