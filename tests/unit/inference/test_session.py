"""Graphs are opened on the chosen device, only if they match the manifest."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from service.contract.errors import BundleError
from service.contract.manifest import GraphSpec
from service.inference.session import DeviceChoice, DeviceError, choose_device, open_session
from tests.support.training.tiny_bundle import MakeBundle

HAS_CUDA = "CUDAExecutionProvider" in ort.get_available_providers()


@pytest.fixture
def graph(make_bundle: MakeBundle) -> tuple[Path, GraphSpec]:
    bundle = make_bundle()
    spec = bundle.manifest.encoder.graph
    return bundle.file(spec.file), spec


def test_a_graph_runs_with_any_batch(graph: tuple[Path, GraphSpec]) -> None:
    path, spec = graph
    session = open_session(path, spec, "cpu", threads=1)
    assert session.device == "cpu"
    _, _, height, width = spec.inputs[0].shape
    for batch in (1, 5):
        output = session.run(
            {
                "pixels": np.zeros((batch, 3, int(height), int(width)), np.float32),
                "modality": np.ones(batch, np.int64),
                "size": np.ones((batch, 3), np.float32),
            }
        )
        assert output.shape == (batch, 6)
        assert output.dtype == np.float32


@pytest.mark.skipif(HAS_CUDA, reason="needs an ONNX Runtime without CUDA")
def test_cuda_that_is_not_installed_is_an_error(graph: tuple[Path, GraphSpec]) -> None:
    with pytest.raises(DeviceError, match=r"install 'crossfix\[gpu\]'"):
        open_session(*graph, "cuda")


@pytest.mark.skipif(HAS_CUDA, reason="needs an ONNX Runtime without CUDA")
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_auto_without_cuda_is_the_cpu_and_is_logged(
    graph: tuple[Path, GraphSpec], device: DeviceChoice, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert open_session(*graph, device).device == "cpu"
    assert "encoder.onnx runs on cpu" in caplog.text


def test_cuda_that_is_installed_but_does_not_start_is_an_error(
    graph: tuple[Path, GraphSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU build of ONNX Runtime does so on a machine without a driver."""

    class CpuSession:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(ort, "InferenceSession", lambda *_args, **_options: CpuSession())
    assert choose_device("auto") == "cuda"
    with pytest.raises(DeviceError, match="did not start"):
        open_session(*graph, "cuda")


def rename(spec: dict[str, Any]) -> None:
    spec["inputs"][0]["name"] = "image"


def reorder(spec: dict[str, Any]) -> None:
    spec["inputs"].reverse()


def retype(spec: dict[str, Any]) -> None:
    spec["inputs"][1]["dtype"] = "float32"


def resize(spec: dict[str, Any]) -> None:
    spec["inputs"][0]["shape"][2] = 256


def fix_the_batch(spec: dict[str, Any]) -> None:
    spec["inputs"][0]["shape"][0] = 1


def free_the_width(spec: dict[str, Any]) -> None:
    spec["inputs"][2]["shape"][1] = "K"


def drop_an_axis(spec: dict[str, Any]) -> None:
    spec["outputs"][0]["shape"].pop()


def rename_the_output(spec: dict[str, Any]) -> None:
    spec["outputs"][0]["name"] = "features"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (rename, r"has the inputs \['pixels', 'modality', 'size'\], its manifest says \['image'"),
        (reorder, "has the inputs"),
        (retype, r"'modality' of encoder.onnx is tensor\(int64\), its manifest says float32"),
        (resize, r"'pixels' of encoder.onnx has the shape \['N', 3, 16, 8\]"),
        (fix_the_batch, "'pixels' of encoder.onnx has the shape"),
        (free_the_width, "'size' of encoder.onnx has the shape"),
        (drop_an_axis, "'embedding' of encoder.onnx has the shape"),
        (rename_the_output, r"has the outputs \['embedding'\]"),
    ],
)
def test_a_graph_that_differs_from_the_manifest_is_rejected(
    graph: tuple[Path, GraphSpec], change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    path, spec = graph
    changed = copy.deepcopy(spec.model_dump(mode="json"))
    change(changed)
    with pytest.raises(BundleError, match=reason):
        open_session(path, GraphSpec.model_validate(changed), "cpu")


def test_a_file_that_is_not_a_graph_is_rejected(graph: tuple[Path, GraphSpec]) -> None:
    path, spec = graph
    path.write_bytes(b"not a graph")
    with pytest.raises(BundleError, match=r"encoder.onnx cannot be opened as a graph"):
        open_session(path, spec, "cpu")
