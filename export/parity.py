"""Compare an exported graph with its module on real inputs, and refuse a graph that differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from service.contract.manifest import GraphSpec
from service.inference.session import DeviceChoice, open_session

BATCHES = (1, 8)
Tensors = Mapping[str, NDArray[Any]]


class ParityError(Exception):
    """The graph's output differs from its module's."""


class OutputShapeError(ParityError):
    """The outputs differ in shape."""


class NonFiniteOutputError(ParityError):
    """The module or the graph returns NaN or infinity."""


class ToleranceError(ParityError):
    """The outputs differ by more than is allowed."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Differences of a graph's outputs from its module's, over all batches.

    Attributes:
        largest_difference: the largest absolute difference of an output value.
        relative_difference: that difference divided by the largest absolute reference value.
        smallest_cosine: the smallest cosine between both outputs of one item.
    """

    largest_difference: float
    relative_difference: float
    smallest_cosine: float


def check_parity(
    module: nn.Module,
    graph: Path,
    spec: GraphSpec,
    inputs: Tensors,
    *,
    device: DeviceChoice = "cpu",
    max_relative_difference: float = 1e-4,
    min_cosine: float = 0.99999,
) -> Parity:
    """Run module and graph on the same real inputs, in batches of one and of eight.

    A full-precision graph must keep both bounds. For a graph with rounded numbers only the cosine
    is meaningful: pass `max_relative_difference=inf`.

    Args:
        module: in eval mode.
        graph: the ONNX file.
        spec: its tensors.
        inputs: by name, `[M, ...]` with M >= 8; real inputs, because random pixels hide errors
            that depend on structure.
        device: runs the graph.
        max_relative_difference: bound of `Parity.relative_difference`.
        min_cosine: bound of `Parity.smallest_cosine`.

    Raises:
        ParityError: a subclass that names the kind of difference, with its measured size.
        ValueError: there are fewer than eight inputs.
    """
    names = [tensor.name for tensor in spec.inputs]
    count = min(len(inputs[name]) for name in names)
    if count < max(BATCHES):
        raise ValueError(f"parity needs at least {max(BATCHES)} inputs, got {count}")
    session = open_session(graph, spec, device, threads=1)
    measured = []
    for batch in BATCHES:
        for start in range(0, count - batch + 1, batch):
            part = {name: inputs[name][start : start + batch] for name in names}
            measured.append(_compare(_run_module(module, part, names), session.run(part), spec))
    parity = Parity(
        largest_difference=max(p.largest_difference for p in measured),
        relative_difference=max(p.relative_difference for p in measured),
        smallest_cosine=min(p.smallest_cosine for p in measured),
    )
    if parity.relative_difference > max_relative_difference or parity.smallest_cosine < min_cosine:
        raise ToleranceError(
            f"{spec.file} differs from its module by {parity.largest_difference:.3g} "
            f"({parity.relative_difference:.3g} of the largest value; at most "
            f"{max_relative_difference:.3g} is allowed), smallest cosine "
            f"{parity.smallest_cosine:.6f} (at least {min_cosine} is needed)"
        )
    return parity


def _run_module(module: nn.Module, part: Tensors, names: Sequence[str]) -> NDArray[np.float32]:
    with torch.inference_mode():
        output = module(*(torch.from_numpy(np.ascontiguousarray(part[name])) for name in names))
    return np.asarray(output.float().numpy())


def _compare(expected: NDArray[np.float32], found: NDArray[np.float32], spec: GraphSpec) -> Parity:
    if expected.shape != found.shape:
        raise OutputShapeError(
            f"{spec.file} yields the shape {found.shape}, its module {expected.shape}"
        )
    for what, values in (("its module", expected), (spec.file, found)):
        if not np.isfinite(values).all():
            raise NonFiniteOutputError(f"{what} yields NaN or infinity on real inputs")
    difference = float(np.abs(expected - found).max())
    # [N, ...] -> [N, values of one item]
    a, b = (v.reshape(len(v), -1).astype(np.float64) for v in (expected, found))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.maximum(lengths, 1e-30)
    both_zero = (np.abs(a).max(axis=1) == 0) & (np.abs(b).max(axis=1) == 0)
    return Parity(
        largest_difference=difference,
        relative_difference=difference / max(float(np.abs(expected).max()), 1e-30),
        smallest_cosine=float(np.where(both_zero, 1.0, cosines).min()),
    )
