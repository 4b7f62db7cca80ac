"""Round the numbers of a graph: integer products for CPUs, half precision for CUDA."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.parity import Tensors

RANGE_BATCH = 8
COLOURS = 3


def quantise_to_int8(source: Path, target: Path, inputs: Tensors) -> None:
    """Let convolutions and linear layers multiply integers: weights of 7 bits, activations of 8.

    Weights are rounded per channel. Convolutions that read the picture, which are few and where
    rounding costs the most, attention, norms, sums and all else stay in float32.

    The ranges of the activations are fixed to those that `inputs` cause. Ranges that are found
    while the graph runs would span the whole batch, so that a chip's embedding would depend on the
    chips beside it. Weights have 7 bits, because on CPUs without VNNI products of 8 bits saturate
    silently, and a bundle would give different embeddings on different machines.

    Args:
        source: a graph in full precision.
        target: the file to write.
        inputs: by name, `[M, ...]`, real inputs.
    """
    with _quiet():
        quantize_static(
            source,
            target,
            _Batches(inputs),
            op_types_to_quantize=["Conv", "MatMul", "Relu", "Clip"],
            nodes_to_exclude=_exact_nodes(onnx.load(source).graph),
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def convert_to_float16(source: Path, target: Path) -> None:
    """Let a graph compute in float16; its inputs and outputs stay float32."""
    with _quiet():
        model = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    onnx.save(model, target)


def _exact_nodes(graph: onnx.GraphProto) -> list[str]:
    """Name the products that stay in float32: of the picture, and of activations (attention).

    The latter are named one by one, because static ranges ignore the option MatMulConstBOnly.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if (node.op_type == "Conv" and shapes[node.input[1]][1] == COLOURS)
        or (node.op_type == "MatMul" and not shapes.keys() & {*node.input})
    ]


class _Batches(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
    """Feeds inputs in batches of `RANGE_BATCH`."""

    def __init__(self, inputs: Tensors) -> None:
        count = min(len(values) for values in inputs.values())
        self._batches: Iterator[dict[str, NDArray[Any]]] = (
            {name: values[start : start + RANGE_BATCH] for name, values in inputs.items()}
            for start in range(0, count, RANGE_BATCH)
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch, None after the last."""
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice on preprocessing that has no effect here."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
