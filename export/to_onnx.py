"""Export torch modules as single-file ONNX graphs with the tensor names of the manifest."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import onnx_ir
import torch
from torch import Tensor, nn

from service.contract.manifest import GraphSpec, TensorSpec

OPSET = 20
BATCH = "N"

_TORCH_TYPES = {"float32": torch.float32, "int64": torch.int64}


def encoder_graph_spec(file: str, height: int, width: int, embedding_width: int) -> GraphSpec:
    """Return the tensors of an encoder: pixels, modality, size -> embedding."""
    return GraphSpec(
        file=file,
        inputs=(
            TensorSpec(name="pixels", dtype="float32", shape=(BATCH, 3, height, width)),
            TensorSpec(name="modality", dtype="int64", shape=(BATCH,)),
            TensorSpec(name="size", dtype="float32", shape=(BATCH, 3)),
        ),
        outputs=(TensorSpec(name="embedding", dtype="float32", shape=(BATCH, embedding_width)),),
    )


def translator_graph_spec(file: str, height: int, width: int, channels: Literal[1, 3]) -> GraphSpec:
    """Return the tensors of a translator: x_t, condition, t -> grad."""
    state: tuple[int | str, ...] = (BATCH, channels, height, width)
    return GraphSpec(
        file=file,
        inputs=(
            TensorSpec(name="x_t", dtype="float32", shape=state),
            TensorSpec(name="condition", dtype="float32", shape=(BATCH, 3, height, width)),
            TensorSpec(name="t", dtype="int64", shape=(BATCH,)),
        ),
        outputs=(TensorSpec(name="grad", dtype="float32", shape=state),),
    )


def export_graph(module: nn.Module, spec: GraphSpec, path: Path) -> None:
    """Write a module as one ONNX file with a dynamic batch axis.

    Args:
        module: in eval mode, on the CPU; `forward` takes the tensors of `spec.inputs` in order.
        spec: names, dtypes and shapes.
        path: the file to write.

    Raises:
        ValueError: the module is in training mode.
    """
    if module.training:
        raise ValueError("a module is exported in eval mode; call .eval() first")
    examples = tuple(_example(tensor) for tensor in spec.inputs)
    batch = tuple({0: torch.export.Dim.DYNAMIC} for _ in spec.inputs)
    with torch.no_grad(), _quiet_exporter():
        program = torch.onnx.export(
            module, examples, dynamo=True, opset_version=OPSET, dynamic_shapes=batch, verbose=False
        )
    assert program is not None  # with dynamo=True the exporter always returns a program
    _rename(program.model.graph, spec)
    _remove_sources(program.model)
    program.save(path, external_data=False)


def _example(spec: TensorSpec) -> Tensor:
    """Return zeros of the shape with a batch of two; the exporter takes a batch of one as fixed."""
    shape = [2 if axis == BATCH else int(axis) for axis in spec.shape]
    return torch.zeros(shape, dtype=_TORCH_TYPES[spec.dtype])


def _rename(graph: onnx_ir.Graph, spec: GraphSpec) -> None:
    """Name inputs, outputs and the batch axis, renaming inner values that have these names."""
    public = {tensor.name for tensor in (*spec.inputs, *spec.outputs)}
    for value in _values(graph):
        if value.name in public:
            value.name = f"{value.name}_inside"
    pairs: Sequence[tuple[onnx_ir.Value, TensorSpec]] = [
        *zip(graph.inputs, spec.inputs, strict=True),
        *zip(graph.outputs, spec.outputs, strict=True),
    ]
    for value, tensor in pairs:
        value.name = tensor.name
        value.shape = onnx_ir.Shape(tensor.shape)


def _remove_sources(model: onnx_ir.Model) -> None:
    """Remove source files and stack traces, which describe the exporting machine."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in _values(model.graph):
        value.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None


def _values(graph: onnx_ir.Graph) -> Iterator[onnx_ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter's warnings about its internals; `export.parity` checks its result."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
