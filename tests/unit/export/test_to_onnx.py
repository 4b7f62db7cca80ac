"""Exported graphs: one file, the manifest's names, any batch size, no traces of the machine."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.to_onnx import OPSET, encoder_graph_spec, export_graph, translator_graph_spec
from model_training.encoder.compact import BySensor
from service.contract.manifest import GraphSpec
from service.inference.session import open_session
from tests.support.paths import ROOT


def test_the_graph_has_the_tensors_of_its_specification(exported: tuple[Path, GraphSpec]) -> None:
    path, spec = exported
    session = open_session(path, spec, "cpu", threads=1)
    for batch in (1, 3):
        output = session.run(
            {
                "pixels": np.zeros((batch, 3, 32, 16), np.float32),
                "modality": np.zeros(batch, np.int64),
                "size": np.zeros((batch, 3), np.float32),
            }
        )
        assert output.shape == (batch, 12)


def test_the_graph_is_one_file_of_the_pinned_opset_without_source_paths(
    exported: tuple[Path, GraphSpec],
) -> None:
    path, _ = exported
    assert list(path.parent.iterdir()) == [path]
    model = onnx.load(path)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": OPSET}
    data = path.read_bytes()
    assert str(ROOT).encode() not in data
    assert b".py" not in data


def test_a_translator_takes_two_pictures_and_a_time(translator: nn.Module, tmp_path: Path) -> None:
    spec = translator_graph_spec("translator.onnx", 16, 8, 1)
    export_graph(translator, spec, tmp_path / spec.file)
    session = open_session(tmp_path / spec.file, spec, "cpu", threads=1)
    feeds: dict[str, NDArray[Any]] = {
        "x_t": np.zeros((5, 1, 16, 8), np.float32),
        "condition": np.zeros((5, 3, 16, 8), np.float32),
        "t": np.full(5, 999, np.int64),
    }
    late = session.run(feeds)
    early = session.run(feeds | {"t": np.zeros(5, np.int64)})
    assert late.shape == (5, 1, 16, 8)
    assert np.allclose(late - early, 0.999, atol=1e-6)


@pytest.fixture(scope="module")
def sensors_graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[BySensor, Path, GraphSpec]:
    """A stem of each sensor, from pictures to embeddings, and its exported graph."""
    torch.manual_seed(2)
    stems = [
        nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.PixelUnshuffle(2), nn.Flatten(), nn.Linear(1024, 12)
        )
        for _ in range(2)
    ]
    module = BySensor(*stems).eval()
    path = tmp_path_factory.mktemp("sensors") / "encoder.onnx"
    spec = encoder_graph_spec(path.name, 32, 16, 12)
    export_graph(_Sized(module), spec, path)
    return module, path, spec


class _Sized(nn.Module):
    """An encoder that disregards the size token."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.eval()

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        embedding: Tensor = self.module(pixels, modality)
        return embedding + 0 * size.sum()


@pytest.mark.parametrize("modality", [[0], [1], [1, 1, 1], [0, 0], [1, 0, 0, 1, 0]], ids=str)
def test_each_row_is_mapped_by_its_sensor_even_if_the_other_has_none(
    sensors_graph: tuple[BySensor, Path, GraphSpec], modality: list[int]
) -> None:
    module, path, spec = sensors_graph
    pixels = np.random.default_rng(1).normal(size=(len(modality), 3, 32, 16)).astype(np.float32)
    feeds: dict[str, NDArray[Any]] = {
        "pixels": pixels,
        "modality": np.array(modality, np.int64),
        "size": np.zeros((len(modality), 3), np.float32),
    }
    with torch.no_grad():
        rows = [
            module.parts[sensor](torch.from_numpy(pixels[at : at + 1])).numpy()
            for at, sensor in enumerate(modality)
        ]
    served = open_session(path, spec, "cpu", threads=1).run(feeds)
    np.testing.assert_allclose(served, np.concatenate(rows), atol=1e-5)


def test_a_module_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="eval mode"):
        export_graph(nn.Linear(1, 1), encoder_graph_spec("e.onnx", 8, 8, 1), tmp_path / "e.onnx")
