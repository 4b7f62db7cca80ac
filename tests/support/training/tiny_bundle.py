"""A tiny bundle with hand-made ONNX graphs, and chips of noise."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from export.bundle_folder import write_bundle
from model_training.translator.schedule import BridgeSchedule, coefficient_table
from service.contract.bundle import Bundle
from service.contract.chip import Chip, Modality
from service.inference.embedder import build_embedder

HEIGHT, WIDTH, D = 16, 8, 6
BRIDGE_HEIGHT, BRIDGE_WIDTH = 12, 8
OPSET = 20


def encoder_graph(seed: int = 0) -> bytes:
    """Return a graph that computes embedding = pixels W + size V + modality m."""
    rng = np.random.default_rng(seed)
    weights = {
        "W": rng.normal(size=(3 * HEIGHT * WIDTH, D)),
        "V": rng.normal(size=(3, D)) * 0.1,
        "m": rng.normal(size=(1, D)),
    }
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "W"], ["weighted_pixels"]),
        helper.make_node("MatMul", ["size", "V"], ["weighted_size"]),
        helper.make_node("Cast", ["modality"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["as_float", "axis"], ["as_column"]),
        helper.make_node("MatMul", ["as_column", "m"], ["weighted_modality"]),
        helper.make_node(
            "Sum", ["weighted_pixels", "weighted_size", "weighted_modality"], ["embedding"]
        ),
    ]
    inputs = [
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, HEIGHT, WIDTH]),
        helper.make_tensor_value_info("modality", TensorProto.INT64, ["N"]),
        helper.make_tensor_value_info("size", TensorProto.FLOAT, ["N", 3]),
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", D])
    return _model(nodes, inputs, output, weights)


def translator_graph() -> bytes:
    """Return a graph that computes grad = 0.5 x_t + 0.1 mean(condition) + 0.001 t."""
    nodes = [
        helper.make_node("Mul", ["x_t", "half"], ["half_x_t"]),
        helper.make_node("ReduceMean", ["condition", "axis"], ["grey"], keepdims=1),
        helper.make_node("Mul", ["grey", "tenth"], ["tenth_grey"]),
        helper.make_node("Reshape", ["t", "column"], ["times"]),
        helper.make_node("Mul", ["times", "thousandth"], ["scaled_times"]),
        helper.make_node("Sum", ["half_x_t", "tenth_grey", "scaled_times"], ["grad"]),
    ]
    size = [BRIDGE_HEIGHT, BRIDGE_WIDTH]
    inputs = [
        helper.make_tensor_value_info("x_t", TensorProto.FLOAT, ["N", 1, *size]),
        helper.make_tensor_value_info("condition", TensorProto.FLOAT, ["N", 3, *size]),
        helper.make_tensor_value_info("t", TensorProto.FLOAT, ["N"]),
    ]
    output = helper.make_tensor_value_info("grad", TensorProto.FLOAT, ["N", 1, *size])
    weights = {"half": np.array(0.5), "tenth": np.array(0.1), "thousandth": np.array(0.001)}
    return _model(nodes, inputs, output, weights)


def _model(nodes: list[Any], inputs: list[Any], output: Any, weights: Mapping[str, Any]) -> bytes:
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in weights.items()
    ]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    constants.append(numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "column"))
    used = {name for node in nodes for name in node.input}
    constants = [constant for constant in constants if constant.name in used]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


ENCODER_SPEC: dict[str, Any] = {
    "graph": {
        "file": "encoder.onnx",
        "inputs": [
            {"name": "pixels", "dtype": "float32", "shape": ["N", 3, HEIGHT, WIDTH]},
            {"name": "modality", "dtype": "int64", "shape": ["N"]},
            {"name": "size", "dtype": "float32", "shape": ["N", 3]},
        ],
        "outputs": [{"name": "embedding", "dtype": "float32", "shape": ["N", D]}],
    },
    "embedding_width": D,
}
_BRIDGE = [BRIDGE_HEIGHT, BRIDGE_WIDTH]
TRANSLATOR_SPEC: dict[str, Any] = {
    "graph": {
        "file": "translator.onnx",
        "inputs": [
            {"name": "x_t", "dtype": "float32", "shape": ["N", 1, *_BRIDGE]},
            {"name": "condition", "dtype": "float32", "shape": ["N", 3, *_BRIDGE]},
            {"name": "t", "dtype": "float32", "shape": ["N"]},
        ],
        "outputs": [{"name": "grad", "dtype": "float32", "shape": ["N", 1, *_BRIDGE]}],
    },
    "height": BRIDGE_HEIGHT,
    "width": BRIDGE_WIDTH,
    "channels": 1,
    "times": 1000,
    "steps": [
        {"t": s.t, "a": s.a, "b": s.b, "c": s.c, "s": s.s}
        for s in coefficient_table(BridgeSchedule(), 3)
    ],
}
UNINFORMED = {"bias": 0.0, "weights": {}}
UNINFORMED_CHOICE = {"weights": {}, "none_bias": 0.0, "none_log_gallery": 0.0}


def golden_files() -> dict[str, bytes]:
    """Return an optical and a SAR chip of noise, as TIFF files."""
    rng = np.random.default_rng(3)
    optical = rng.integers(0, 256, (40, 12, 3), dtype=np.uint8)
    sar = rng.gamma(1.0, 1.0, (30, 9)).astype(np.float32)
    return {"golden/a_RGB.tif": _tiff(optical), "golden/b_SAR.tif": _tiff(sar)}


def _tiff(pixels: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="TIFF")
    return stream.getvalue()


def _manifest(translator: bool) -> dict[str, Any]:
    """Return a manifest without `files`."""
    return {
        "name": "tiny",
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "method": "random projection",
        "preprocess": {"height": HEIGHT, "width": WIDTH},
        "encoder": ENCODER_SPEC,
        "translator": TRANSLATOR_SPEC if translator else None,
        "fusion": {"samples": 3, "alpha": 0.3} if translator else {},
        "calibration": {
            "match": UNINFORMED_CHOICE,
            "verify": UNINFORMED,
            "confident_from": 1.0,
            "no_match_below": 0.0,
            "fitted_on": "nothing",
        },
        "training": {"domain": "none", "description": "random", "datasets": []},
        "licences": {},
        "golden": {
            "chips": ["golden/a_RGB.tif", "golden/b_SAR.tif"],
            "modalities": ["optical", "sar"],
            "gsd_m": [0.75, 1.0],
            "embeddings": "golden/embeddings.npy",
        },
    }


def write_tiny_bundle(
    folder: Path,
    *,
    translator: bool = True,
    changes: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a tiny bundle to a sub-folder.

    Args:
        folder: parent of the bundle's folder.
        translator: whether the bundle has a translator and fuses.
        changes: fields of the manifest to replace.
        files: contents of files to replace.
    """
    contents = {
        **golden_files(),
        "encoder.onnx": encoder_graph(),
        "MODEL_CARD.md": b"# tiny\n",
        "golden/embeddings.npy": b"",
    }
    if translator:
        contents["translator.onnx"] = translator_graph()
    contents |= files or {}
    fields = _manifest(translator) | dict(changes or {})
    if not contents["golden/embeddings.npy"]:
        unverified = write_bundle(folder / "unverified", fields, contents, replace=True)
        contents["golden/embeddings.npy"] = _golden_vectors(unverified)
    return write_bundle(folder / "bundle", fields, contents, replace=True)


class MakeBundle(Protocol):
    """`write_tiny_bundle` to a temporary folder."""

    def __call__(
        self,
        *,
        translator: bool = True,
        changes: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> Bundle: ...


def _golden_vectors(bundle: Bundle) -> bytes:
    embedder = build_embedder(bundle, "cpu", threads=1)
    stream = io.BytesIO()
    np.save(stream, np.stack([e.vector for e in embedder.embed_many(embedder.golden_chips())]))
    return stream.getvalue()


def noise_chip(modality: Modality, seed: int) -> Chip:
    """Return a chip of noise."""
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(20, 60)), int(rng.integers(8, 20))
    if modality is Modality.SAR:
        pixels: NDArray[Any] = rng.gamma(1.0, 1.0, (height, width)).astype(np.float32)
    else:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    digest = f"{seed:064x}"
    return Chip(pixels, modality, 1.0, "default", str(pixels.dtype), digest)
