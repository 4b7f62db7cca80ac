"""Does the exported graph compute what the module computes? Measured, and refused if not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from service.contract.manifest import GraphSpec
from service.inference.session import open_session

BATCHES = (1, 8)
Tensors = Mapping[str, NDArray[Any]]


class ParityError(Exception):
    """The graph does not compute what it was made from."""


class OutputShapeError(ParityError):
    """The outputs differ in shape."""


class NonFiniteOutputError(ParityError):
    """The module or the graph yields NaN or infinity."""


class ToleranceError(ParityError):
    """The outputs differ by more than is allowed."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a graph's output is from its reference, over all batches.

    Attributes:
        largest_difference: the largest absolute difference of an output value.
        relative_difference: the same over the largest absolute reference value.
        smallest_cosine: between the outputs of one item.
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
    max_relative_difference: float = 1e-4,
    min_cosine: float = 0.99999,
) -> Parity:
    """Run module and graph on the same real inputs, one at a time and eight together.

    A full-precision graph is held to both bounds. One with rounded weights is judged by cosine:
    pass `max_relative_difference=inf`.

    Args:
        module: in eval mode.
        graph: the ONNX file.
        spec: its tensors.
        inputs: by name, `[M, ...]` with M >= 8; real ones, because random pixels hide
            errors that only structure shows.

    Raises:
        ParityError: one of its kinds, with the measured difference.
    """
    names = [tensor.name for tensor in spec.inputs]
    count = min(len(inputs[name]) for name in names)
    if count < max(BATCHES):
        raise ValueError(f"parity needs at least {max(BATCHES)} inputs, got {count}")
    session = open_session(graph, spec, "cpu", threads=1)
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
    a, b = (v.reshape(len(v), -1).astype(np.float64) for v in (expected, found))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.maximum(lengths, 1e-30)
    both_zero = (np.abs(a).max(axis=1) == 0) & (np.abs(b).max(axis=1) == 0)
    return Parity(
        largest_difference=difference,
        relative_difference=difference / max(float(np.abs(expected).max()), 1e-30),
        smallest_cosine=float(np.where(both_zero, 1.0, cosines).min()),
    )
