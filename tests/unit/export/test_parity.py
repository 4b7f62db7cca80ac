"""Parity: measured differences, and an error for each kind of difference."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.parity import NonFiniteOutputError, OutputShapeError, ToleranceError, check_parity
from export.to_onnx import encoder_graph_spec
from service.contract.errors import BundleError
from service.contract.manifest import GraphSpec
from tests.support.training.tiny_models import TinyEncoder

Exported = tuple[Path, GraphSpec]
Inputs = dict[str, NDArray[Any]]


def test_an_equal_graph_passes_with_its_measured_difference(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    parity = check_parity(encoder, *exported, encoder_inputs)
    assert 0 <= parity.largest_difference < 1e-4
    assert parity.relative_difference < 1e-4
    assert parity.smallest_cosine > 0.99999


def test_other_weights_are_refused_with_the_difference(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        other.head.bias.add_(0.25)
    with pytest.raises(ToleranceError, match=r"differs from its module by 0\.25"):
        check_parity(other, *exported, encoder_inputs)


def test_an_error_in_one_sensor_only_is_detected(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        other.sar.weight[:] = other.optical.weight
    with pytest.raises(ToleranceError, match="smallest cosine"):
        check_parity(other, *exported, encoder_inputs, max_relative_difference=float("inf"))


class Wrapped(nn.Module):
    """An encoder whose output is changed."""

    def __init__(self, encoder: nn.Module, change: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.change = change

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        output: Tensor = self.encoder(pixels, modality, size)
        return output[:, :5] if self.change == "cut" else output / 0


def test_another_shape_is_refused(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    with pytest.raises(OutputShapeError, match=r"\(1, 12\), its module \(1, 5\)"):
        check_parity(Wrapped(encoder, "cut"), *exported, encoder_inputs)


def test_values_that_are_not_finite_are_refused(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    with pytest.raises(NonFiniteOutputError, match="its module yields NaN or infinity"):
        check_parity(Wrapped(encoder, "blow up"), *exported, encoder_inputs)


def test_a_graph_with_other_tensors_is_refused(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    path, _ = exported
    with pytest.raises(BundleError, match="embedding"):
        check_parity(encoder, path, encoder_graph_spec(path.name, 32, 16, 13), encoder_inputs)


def test_fewer_than_eight_inputs_are_refused(
    encoder: TinyEncoder, exported: Exported, encoder_inputs: Inputs
) -> None:
    few = {name: values[:7] for name, values in encoder_inputs.items()}
    with pytest.raises(ValueError, match="at least 8 inputs, got 7"):
        check_parity(encoder, *exported, few)
