"""Small chips and models for the tests of export; the encoder is exported once per session."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.sample_chips import SampleChip, sample_chip
from export.to_onnx import encoder_graph_spec, export_graph
from service.contract.chip import Modality
from service.contract.manifest import GraphSpec
from tests.support.training.tiny_models import (
    EMBEDDING_WIDTH,
    HEIGHT,
    WIDTH,
    TinyEncoder,
    TinyTranslator,
)


@pytest.fixture(scope="session")
def encoder() -> TinyEncoder:
    torch.manual_seed(0)
    return TinyEncoder().eval()


@pytest.fixture(scope="session")
def translator() -> TinyTranslator:
    torch.manual_seed(1)
    return TinyTranslator().eval()


@pytest.fixture(scope="session")
def exported(
    encoder: TinyEncoder, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, GraphSpec]:
    """Export the tiny encoder; return the file and its tensors."""
    path = tmp_path_factory.mktemp("graph") / "encoder.onnx"
    spec = encoder_graph_spec(path.name, HEIGHT, WIDTH, EMBEDDING_WIDTH)
    export_graph(encoder, spec, path)
    return path, spec


@pytest.fixture(scope="session")
def encoder_inputs() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    return {
        "pixels": rng.normal(size=(8, 3, HEIGHT, WIDTH)).astype(np.float32),
        "modality": np.arange(8) % 2,
        "size": rng.normal(size=(8, 3)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def chips() -> list[SampleChip]:
    """Draw four optical and four SAR chips of noise."""
    rng = np.random.default_rng(5)
    return [
        sample_chip(i, modality, pixels)
        for i in range(4)
        for modality, pixels in (
            (Modality.OPTICAL, rng.integers(0, 256, (60 + i, 20, 3), dtype=np.uint8)),
            (Modality.SAR, rng.gamma(1.0, 1.0, (45 + i, 15)).astype(np.float32)),
        )
    ]
