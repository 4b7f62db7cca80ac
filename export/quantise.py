"""Shrink graphs: int8 matrix products, or weights stored as float16."""

import logging
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

MIN_VALUES = 1024  # smaller tensors save no space and are often scales or norms


def quantise_int8(source: Path, target: Path) -> None:
    """Quantise dynamically to int8: weights of matrix products per channel, activations when run.

    Weights have 7 bits, because on CPUs without VNNI 8-bit products saturate silently, and a bundle
    would give different vectors on different machines. Convolutions stay in float32, because ONNX
    Runtime has no fast dynamic int8 convolution on the CPU.
    """
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # silences advice on preprocessing that has no effect here
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        logger.setLevel(level)


def store_weights_as_float16(source: Path, target: Path) -> None:
    """Store each large float32 weight as float16, followed by a cast to float32.

    The file is about half as large. The runtime folds the casts when it opens the graph, so it
    computes in float32 as fast as before; only the weights are rounded (relative error below 5e-4).

    Raises:
        ValueError: a weight exceeds the range of float16.
    """
    model = onnx.load(source)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < MIN_VALUES:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ValueError(f"weight {tensor.name} is beyond the range of float16")
        name = tensor.name
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}_float16")
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    onnx.save(model, target)
