"""The reverse step of the Brownian bridge, and its sampler."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_training.translator.schedule import BridgeSchedule, coefficient_table, step_times
from service.contract.bridge import reverse_bridge, reverse_step

Array = NDArray[np.float64]


def test_numpy_and_torch_give_the_same_step() -> None:
    x0_hat, y, x_t, noise = np.random.default_rng(1).standard_normal((4, 2, 1, 8, 4), np.float32)
    for step in coefficient_table(BridgeSchedule(), 5, eta=1.0):
        by_numpy = reverse_step(step, x0_hat, y, x_t, noise)
        by_torch = reverse_step(
            step, *(torch.from_numpy(array) for array in (x0_hat, y, x_t, noise))
        )
        assert by_numpy.dtype == np.float32
        assert by_torch.dtype == torch.float32
        assert np.allclose(by_numpy, by_torch.numpy(), atol=1e-6)


@pytest.mark.parametrize(("steps", "eta"), [(1, 1.0), (4, 0.0), (4, 1.0), (30, 1.0)])
def test_reverse_bridge_with_a_perfect_network_ends_at_the_sar_chip(steps: int, eta: float) -> None:
    rng = np.random.default_rng(2)
    y, x0 = rng.uniform(-1, 1, (2, 5, 1, 8, 4))
    drawn: list[Array] = []

    def draw() -> Array:
        drawn.append(rng.standard_normal(y.shape))
        return drawn[-1]

    table = coefficient_table(BridgeSchedule(), steps, eta)
    called: list[int] = []

    def perfect(x_t: Array, t: int) -> Array:
        called.append(t)
        return np.asarray(x_t - x0)

    assert np.allclose(reverse_bridge(perfect, y, table, draw), x0, atol=1e-9)
    assert called == step_times(1000, steps)
    assert len(drawn) == (steps - 1 if eta > 0 else 0)


def test_reverse_bridge_draws_noise_for_every_step() -> None:
    y = np.zeros(3)
    table = coefficient_table(BridgeSchedule(), 3, eta=1.0)
    noises = [np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 2.0])]
    remaining = iter(noises)
    inputs: list[Array] = []

    def record(x_t: Array, _t: int) -> Array:
        inputs.append(x_t)
        return x_t  # x0_hat = 0

    reverse_bridge(record, y, table, lambda: next(remaining))
    assert np.allclose(inputs[1], table[0].s * noises[0])
    assert np.allclose(inputs[2], table[1].c * inputs[1] + table[1].s * noises[1])
