"""Rounded graphs are smaller and keep their cosine."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from export.parity import ToleranceError, check_parity
from export.quantise import convert_to_float16, quantise_to_int8
from service.contract.manifest import GraphSpec
from service.inference.session import open_session

Exported = tuple[Path, GraphSpec]
Inputs = dict[str, NDArray[Any]]


def test_half_precision_halves_the_file_and_keeps_the_cosine(
    encoder: nn.Module, exported: Exported, encoder_inputs: Inputs, tmp_path: Path
) -> None:
    path, spec = exported
    half = tmp_path / "encoder.onnx"
    convert_to_float16(path, half)
    assert half.stat().st_size < 0.65 * path.stat().st_size
    types = {tensor.data_type for tensor in onnx.load(half).graph.initializer}
    assert TensorProto.FLOAT16 in types
    parity = check_parity(
        encoder, half, spec, encoder_inputs, max_relative_difference=float("inf"), min_cosine=0.999
    )
    assert parity.largest_difference > 0


def test_int8_rounds_linear_layers_and_keeps_its_own_cosine_bound_only(
    encoder: nn.Module, exported: Exported, encoder_inputs: Inputs, tmp_path: Path
) -> None:
    path, spec = exported
    small = tmp_path / "encoder.onnx"
    quantise_to_int8(path, small, encoder_inputs)
    graph = onnx.load(small).graph
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT8]
    assert max(len(tensor.dims) for tensor in weights) == 2
    assert "DynamicQuantizeLinear" not in {node.op_type for node in graph.node}
    check_parity(
        encoder, small, spec, encoder_inputs, max_relative_difference=float("inf"), min_cosine=0.99
    )
    with pytest.raises(ToleranceError):
        check_parity(encoder, small, spec, encoder_inputs)


def test_an_int8_embedding_does_not_depend_on_the_other_chips_of_its_batch(
    exported: Exported, encoder_inputs: Inputs, tmp_path: Path
) -> None:
    path, spec = exported
    small = tmp_path / "encoder.onnx"
    quantise_to_int8(path, small, encoder_inputs)
    session = open_session(small, spec, "cpu", threads=1)
    loud = {name: values.copy() for name, values in encoder_inputs.items()}
    loud["pixels"][1:] *= 100
    alone = session.run({name: values[:1] for name, values in encoder_inputs.items()})
    np.testing.assert_allclose(session.run(loud)[:1], alone, rtol=0, atol=1e-5)


def test_products_of_the_picture_and_of_activations_stay_in_float32(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 4, 4])
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in (("v", (4, 3, 1, 1)), ("w", (4, 4, 1, 1)), ("u", (4, 4)))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], "picture"),
        helper.make_node("Conv", ["a", "w"], ["b"], "convolution"),
        helper.make_node("MatMul", ["b", "u"], ["h"], "linear"),
        helper.make_node("MatMul", ["h", "h"], ["y"], "attention"),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "full.onnx")
    inputs = {"x": rng.normal(size=(8, 3, 4, 4)).astype(np.float32)}
    quantise_to_int8(tmp_path / "full.onnx", tmp_path / "int8.onnx", inputs)
    read = {node.name: set(node.input) for node in onnx.load(tmp_path / "int8.onnx").graph.node}
    assert read["picture"] == {"x", "v"}
    assert read["attention"] == {"h"}
    assert not read["convolution"] & {"a", "w"}
    assert not read["linear"] & {"b", "u"}
