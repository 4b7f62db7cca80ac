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
from export.quantise import quantise_int8, store_weights_as_float16
from service.contract.manifest import GraphSpec

Exported = tuple[Path, GraphSpec]
Inputs = dict[str, NDArray[Any]]


def test_float16_weights_halve_the_file_and_keep_the_cosine(
    encoder: nn.Module, exported: Exported, encoder_inputs: Inputs, tmp_path: Path
) -> None:
    path, spec = exported
    half = tmp_path / "encoder.onnx"
    store_weights_as_float16(path, half)
    assert half.stat().st_size < 0.65 * path.stat().st_size
    parity = check_parity(
        encoder, half, spec, encoder_inputs, max_relative_difference=float("inf"), min_cosine=0.9999
    )
    assert parity.largest_difference > 0


def test_int8_quantises_matrix_products_and_keeps_its_own_cosine_bound_only(
    encoder: nn.Module, exported: Exported, encoder_inputs: Inputs, tmp_path: Path
) -> None:
    path, spec = exported
    small = tmp_path / "encoder.onnx"
    quantise_int8(path, small)
    operators = {node.op_type for node in onnx.load(small).graph.node}
    assert operators & {"MatMulInteger", "DynamicQuantizeLinear"}
    assert "Conv" in operators
    check_parity(
        encoder, small, spec, encoder_inputs, max_relative_difference=float("inf"), min_cosine=0.99
    )
    with pytest.raises(ToleranceError):
        check_parity(encoder, small, spec, encoder_inputs)


def test_a_weight_beyond_float16_is_refused(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.full((64, 64), 1e6, np.float32), "huge")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "huge"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 64])],
        [weight],
    )
    source = tmp_path / "huge.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), source)
    with pytest.raises(ValueError, match="huge is beyond the range of float16"):
        store_weights_as_float16(source, tmp_path / "half.onnx")
