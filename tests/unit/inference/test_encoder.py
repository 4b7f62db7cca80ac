"""The encoder stacks chips to batches, passes modality ids and returns unit vectors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.errors import BundleError
from service.contract.manifest import EncoderSpec, PreprocessSpec
from service.contract.preprocess import EncoderInput
from service.inference.encoder import MAX_BATCH, Encoder, require_encoder_tensors
from service.inference.session import Device


def spec(width: int = 4, pixels: tuple[int | str, ...] = ("N", 3, 8, 8)) -> EncoderSpec:
    return EncoderSpec.model_validate(
        {
            "graph": {
                "file": "e.onnx",
                "inputs": [
                    {"name": "p", "dtype": "float32", "shape": pixels},
                    {"name": "m", "dtype": "int64", "shape": ["N"]},
                    {"name": "s", "dtype": "float32", "shape": ["N", 3]},
                ],
                "outputs": [{"name": "e", "dtype": "float32", "shape": ["N", 4]}],
            },
            "embedding_width": width,
            "optical_id": 7,
            "sar_id": 9,
        }
    )


class RecordingRunner:
    """Returns the modality id, the mean pixel and two numbers of the size token."""

    device: Device = "cpu"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        assert feeds["p"].dtype == feeds["s"].dtype == np.float32
        assert feeds["m"].dtype == np.int64
        self.batches.append(len(feeds["p"]))
        parts = [feeds["m"][:, None], feeds["p"].mean(axis=(1, 2, 3))[:, None], feeds["s"][:, :2]]
        return np.concatenate(parts, axis=1).astype(np.float32)


def encoder_input(value: float, modality: Modality) -> EncoderInput:
    return EncoderInput(
        np.full((3, 8, 8), value, np.float32), modality, np.array([1, 2, 3], np.float32)
    )


def test_each_chip_keeps_its_own_tensors_and_order() -> None:
    runner = RecordingRunner()
    inputs = [
        encoder_input(i, Modality.SAR if i % 3 else Modality.OPTICAL)
        for i in range(2 * MAX_BATCH + 1)
    ]
    vectors = Encoder(runner, spec()).encode(inputs)
    assert runner.batches == [MAX_BATCH, MAX_BATCH, 1]
    raw = np.array([[9 if i % 3 else 7, i, 1, 2] for i in range(len(inputs))], np.float32)
    assert np.allclose(vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)


def test_no_chips_give_no_vectors() -> None:
    vectors = Encoder(RecordingRunner(), spec()).encode([])
    assert vectors.shape == (0, 4)


def test_a_vector_that_is_not_finite_is_an_error() -> None:
    class NanRunner(RecordingRunner):
        def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
            return np.full((len(feeds["p"]), 4), np.nan, np.float32)

    with pytest.raises(ValueError, match="no direction"):
        Encoder(NanRunner(), spec()).encode([encoder_input(1.0, Modality.SAR)])


def test_tensors_must_fit_the_preprocessing_and_the_width() -> None:
    preprocess = PreprocessSpec(height=8, width=8)
    require_encoder_tensors(spec(), preprocess)
    with pytest.raises(BundleError, match="the preprocessing yields"):
        require_encoder_tensors(spec(pixels=("N", 3, 8, 16)), preprocess)
    with pytest.raises(BundleError, match="embedding width is 5"):
        require_encoder_tensors(spec(width=5), preprocess)
