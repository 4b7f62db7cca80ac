"""Exported graphs: one file, the manifest's names, any batch size, no traces of the machine."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from torch import nn

from export.to_onnx import OPSET, encoder_graph_spec, export_graph, translator_graph_spec
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


def test_a_module_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="eval mode"):
        export_graph(nn.Linear(1, 1), encoder_graph_spec("e.onnx", 8, 8, 1), tmp_path / "e.onnx")
