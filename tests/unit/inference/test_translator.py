"""The sampler is seeded for each chip, independent of the other chips of its batch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.translator.schedule import BridgeSchedule, coefficient_table
from service.contract.errors import BundleError
from service.contract.manifest import TranslatorSpec
from service.contract.translation import bridge_picture, bridge_start, pseudo_sar_picture
from service.inference.session import Device
from service.inference.translator import MAX_BATCH, Translator, require_translator_tensors

HEIGHT, WIDTH = 12, 8


def spec(steps: int, channels: int = 1) -> TranslatorSpec:
    size = [HEIGHT, WIDTH]
    table = coefficient_table(BridgeSchedule(), steps)
    return TranslatorSpec.model_validate(
        {
            "graph": {
                "file": "t.onnx",
                "inputs": [
                    {"name": "x_t", "dtype": "float32", "shape": ["N", channels, *size]},
                    {"name": "condition", "dtype": "float32", "shape": ["N", 3, *size]},
                    {"name": "t", "dtype": "int64", "shape": ["N"]},
                ],
                "outputs": [{"name": "grad", "dtype": "float32", "shape": ["N", channels, *size]}],
            },
            "height": HEIGHT,
            "width": WIDTH,
            "channels": channels,
            "steps": [{"t": s.t, "a": s.a, "b": s.b, "c": s.c, "s": s.s} for s in table],
        }
    )


class HalfWayRunner:
    """A network that moves x_t half-way to the condition's mean and records its calls."""

    device: Device = "cpu"

    def __init__(self) -> None:
        self.times: list[int] = []
        self.batches: list[int] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        assert feeds["x_t"].dtype == np.float32
        assert feeds["t"].dtype == np.int64
        self.times.append(int(feeds["t"][0]))
        self.batches.append(len(feeds["t"]))
        grey = feeds["condition"].mean(axis=1, keepdims=True)
        return np.asarray(0.5 * (feeds["x_t"] - grey), np.float32)


class PerfectRunner(HalfWayRunner):
    """A network that predicts x0 = -0.5, a dark picture."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        super().run(feeds)
        return np.asarray(feeds["x_t"] + 0.5, np.float32)


def picture(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (40 + seed, 20, 3), dtype=np.uint8)


def test_one_step_returns_the_x0_that_the_network_predicts() -> None:
    runner = PerfectRunner()
    result = Translator(runner, spec(1), 2, "w").translate([picture(0)], ["a"])
    assert result.shape == (1, 2, HEIGHT, WIDTH)
    assert result.dtype == np.uint8
    assert np.array_equal(result, np.full_like(result, 64))  # -0.5 -> 63.75
    assert runner.times == [999]


def test_several_steps_follow_the_table_with_noise_for_each_picture() -> None:
    runner = HalfWayRunner()
    translator = Translator(runner, spec(4), 3, "w")
    (result,) = translator.translate([picture(0)], ["a"])
    assert runner.times == [step.t for step in spec(4).steps]
    assert not np.array_equal(result[0], result[1])
    assert not np.array_equal(result[1], result[2])


def test_without_noise_the_result_equals_the_explicit_recursion() -> None:
    without_noise = spec(3).model_copy(
        update={"steps": tuple(replace(s, s=0.0) for s in spec(3).steps)}
    )
    (result,) = Translator(HalfWayRunner(), without_noise, 1, "w").translate([picture(1)], ["a"])
    condition = bridge_picture(picture(1), HEIGHT, WIDTH)
    y = bridge_start(condition, 1)
    x_t = y
    for step in without_noise.steps:
        x0 = x_t - 0.5 * (x_t - condition.mean(axis=0, keepdims=True))
        x_t = step.a * x0 + step.b * y + step.c * x_t
    expected = pseudo_sar_picture(np.asarray(x_t, np.float32))
    assert np.abs(result[0].astype(int) - expected.astype(int)).max() <= 1


def test_a_chip_gets_the_same_pictures_in_any_batch() -> None:
    count = MAX_BATCH  # with K = 3 this makes several network calls
    digests = [f"{i:x}" for i in range(count)]
    pictures = [picture(i % 5) for i in range(count)]
    runner = HalfWayRunner()
    translator = Translator(runner, spec(4), 3, "w")
    together = translator.translate(pictures, digests)
    assert max(runner.batches) <= MAX_BATCH
    for i in (0, 7, count - 1):
        alone = translator.translate([pictures[i]], [digests[i]])
        assert np.array_equal(together[i], alone[0])


def test_noise_depends_on_the_chip_and_on_the_weights() -> None:
    def pictures(weights_id: str, digest: str) -> NDArray[np.uint8]:
        return Translator(HalfWayRunner(), spec(4), 2, weights_id).translate([picture(0)], [digest])

    assert np.array_equal(pictures("w", "a"), pictures("w", "a"))
    assert not np.array_equal(pictures("w", "a"), pictures("w", "b"))
    assert not np.array_equal(pictures("w", "a"), pictures("v", "a"))


def test_three_channels_are_averaged() -> None:
    runner = PerfectRunner()
    result = Translator(runner, spec(2, channels=3), 1, "w").translate([picture(0)], ["a"])
    assert np.array_equal(result, np.full((1, 1, HEIGHT, WIDTH), 64, np.uint8))


def test_tensors_and_times_must_fit_the_specification() -> None:
    require_translator_tensors(spec(4))
    with pytest.raises(BundleError, match="its specification needs"):
        require_translator_tensors(spec(4).model_copy(update={"height": 16}))
    with pytest.raises(BundleError, match=r"visits the times \[999\]"):
        require_translator_tensors(spec(1).model_copy(update={"times": 100}))
