"""Small chips and modules for export tests; each graph is exported once per session."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.sample_chips import SampleChip, sample_chip
from export.to_onnx import encoder_graph_spec, export_graph
from service.contract.chip import Modality
from service.contract.manifest import GraphSpec

HEIGHT, WIDTH, D = 32, 16, 12


class TinyEncoder(nn.Module):
    """A patch embedding per sensor, a modality embedding, a size layer, LayerNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.optical = nn.Conv2d(3, 48, 8, 8)
        self.sar = nn.Conv2d(3, 48, 8, 8)
        self.sensor = nn.Embedding(2, 48)
        self.size = nn.Linear(3, 48)
        self.mix = nn.Linear(48, 48)
        self.norm = nn.LayerNorm(48)
        self.head = nn.Linear(8 * 48, D)

    def forward(self, image: Tensor, which: Tensor, size: Tensor) -> Tensor:
        chosen = (which == 1)[:, None, None, None]
        grid = torch.where(chosen, self.sar(image), self.optical(image))
        tokens = grid.flatten(2).transpose(1, 2)
        tokens = tokens + (self.sensor(which) + self.size(size))[:, None]
        embedding: Tensor = self.head(self.norm(self.mix(tokens)).flatten(1))
        return embedding


class TinyTranslator(nn.Module):
    """A convolution over x_t and condition, shifted by the time."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels + 3, channels, 3, padding=1)

    def forward(self, x_t: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        shift = (t.to(x_t.dtype) / 1000)[:, None, None, None]
        grad: Tensor = self.mix(torch.cat([x_t, condition], 1)) + shift
        return grad


@pytest.fixture(scope="session")
def encoder() -> nn.Module:
    torch.manual_seed(0)
    return TinyEncoder().eval()


@pytest.fixture(scope="session")
def translator() -> nn.Module:
    torch.manual_seed(1)
    return TinyTranslator().eval()


@pytest.fixture(scope="session")
def exported(
    encoder: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, GraphSpec]:
    """The tiny encoder as a file, and its tensors."""
    path = tmp_path_factory.mktemp("graph") / "encoder.onnx"
    spec = encoder_graph_spec(path.name, HEIGHT, WIDTH, D)
    export_graph(encoder, spec, path)
    return path, spec


@pytest.fixture(scope="session")
def encoder_inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "pixels": rng.normal(size=(8, 3, HEIGHT, WIDTH)).astype(np.float32),
        "modality": np.arange(8) % 2,
        "size": rng.normal(size=(8, 3)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def chips() -> list[SampleChip]:
    """Four optical and four SAR chips of noise."""
    rng = np.random.default_rng(5)
    return [
        sample_chip(i, modality, pixels)
        for i in range(4)
        for modality, pixels in (
            (Modality.OPTICAL, rng.integers(0, 256, (60 + i, 20, 3), dtype=np.uint8)),
            (Modality.SAR, rng.gamma(1.0, 1.0, (45 + i, 15)).astype(np.float32)),
        )
    ]
