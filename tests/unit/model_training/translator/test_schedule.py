"""The schedule of the Brownian bridge: its marginals, and the coefficients of its reverse steps."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from model_training.translator.schedule import BridgeSchedule, coefficient_table, step_times
from service.contract.bridge import BridgeStep, predicted_x0, reverse_step

Array = NDArray[np.float64]


def published_step(
    x_t: Array, x0_hat: Array, y: Array, noise: Array, t: int, n: int, times: int, eta: float
) -> Array:
    """Reimplement BBDM's `p_sample` as it is released, without the table: eta scales noise only."""
    m_t = 0.001 + 0.998 * t / (times - 1)
    m_n = 0.001 + 0.998 * n / (times - 1)
    var_t, var_n = 2 * (m_t - m_t**2), 2 * (m_n - m_n**2)
    sigma2 = (var_t - var_n * (1 - m_t) ** 2 / (1 - m_n) ** 2) * var_n / var_t
    drift = np.sqrt((var_n - sigma2) / var_t) * (x_t - (1 - m_t) * x0_hat - m_t * y)
    return np.asarray((1 - m_n) * x0_hat + m_n * y + drift + eta * np.sqrt(sigma2) * noise)


def posterior(t: int, n: int, x0: float, y: float, x_t: float, times: int) -> tuple[float, float]:
    """Return mean and variance of x_n given x_t, x0 and y by Bayes' rule on the forward chain."""
    m, v = BridgeSchedule(times).m(), BridgeSchedule(times).variance()
    gain = (1 - m[t]) / (1 - m[n])
    transition = v[t] - v[n] * gain**2  # x_t = gain x_n + (m_t - gain m_n) y + transition noise
    prior_mean = (1 - m[n]) * x0 + m[n] * y
    precision = 1 / v[n] + gain**2 / transition
    mean = (prior_mean / v[n] + gain * (x_t - (m[t] - gain * m[n]) * y) / transition) / precision
    return mean, 1 / precision


def test_m_and_variance_of_the_published_schedule() -> None:
    schedule = BridgeSchedule()
    m, variance = schedule.m(), schedule.variance()
    assert m.shape == variance.shape == (1000,)
    assert m[0] == pytest.approx(0.001, abs=1e-15)
    assert m[-1] == pytest.approx(0.999, abs=1e-15)
    assert np.allclose(np.diff(m), 0.998 / 999, rtol=1e-9)
    assert variance[0] == pytest.approx(0.001998, rel=1e-9)
    assert variance[-1] == pytest.approx(0.001998, rel=1e-9)
    assert variance.max() == pytest.approx(0.5, abs=1e-6)


@given(st.integers(2, 1200), st.floats(0.01, 4.0))
def test_variance_is_symmetric_positive_and_peaks_at_half_the_maximum(
    times: int, max_variance: float
) -> None:
    variance = BridgeSchedule(times, max_variance).variance()
    assert np.all(variance > 0)
    assert np.allclose(variance, variance[::-1])
    assert variance.max() <= max_variance / 2 * (1 + 1e-12)


@pytest.mark.parametrize(("times", "max_variance"), [(1, 1.0), (1000, 0.0), (1000, math.nan)])
def test_an_invalid_schedule_is_rejected(times: int, max_variance: float) -> None:
    with pytest.raises(ValueError, match="at least 2 times and a positive variance"):
        BridgeSchedule(times, max_variance)


def test_forward_chain_of_single_transitions_has_the_documented_marginals() -> None:
    m, variance = BridgeSchedule(50).m(), BridgeSchedule(50).variance()
    x0, y = 0.8, -0.4
    mean, spread = (1 - m[0]) * x0 + m[0] * y, variance[0]
    for t in range(1, 50):
        gain = (1 - m[t]) / (1 - m[t - 1])
        mean = gain * mean + (m[t] - gain * m[t - 1]) * y
        spread = gain**2 * spread + (variance[t] - gain**2 * variance[t - 1])
        assert mean == pytest.approx((1 - m[t]) * x0 + m[t] * y, abs=1e-12)
        assert spread == pytest.approx(2 * (m[t] - m[t] ** 2), abs=1e-12)


@given(steps=st.integers(2, 60), seed=st.integers(0, 2**32 - 1))
def test_every_step_at_eta_1_equals_the_released_formula(steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x_t, x0_hat, y, noise = rng.standard_normal((4, 3, 5))
    table = coefficient_table(BridgeSchedule(), steps, eta=1.0)
    visited = [step.t for step in table]
    for step, following in zip(table, visited[1:], strict=False):
        expected = published_step(x_t, x0_hat, y, noise, step.t, following, 1000, 1.0)
        assert np.allclose(reverse_step(step, x0_hat, y, x_t, noise), expected, atol=1e-9)
    assert np.array_equal(reverse_step(table[-1], x0_hat, y, x_t, noise), x0_hat)


@given(st.integers(2, 40), st.floats(-1, 1), st.floats(-1, 1), st.floats(-3, 3))
def test_stochastic_step_is_the_exact_posterior(
    steps: int, x0: float, y: float, x_t: float
) -> None:
    table = coefficient_table(BridgeSchedule(200), steps, eta=1.0)
    for step, following in itertools.pairwise(table):
        mean, variance = posterior(step.t, following.t, x0, y, x_t, 200)
        assert reverse_step(step, x0, y, x_t, 0.0) == pytest.approx(mean, abs=1e-9)
        assert step.s**2 == pytest.approx(variance, abs=1e-12)


@given(st.integers(2, 60), st.floats(0, 1))
def test_each_step_keeps_the_forward_marginals(steps: int, eta: float) -> None:
    schedule = BridgeSchedule()
    m, variance = schedule.m(), schedule.variance()
    table = coefficient_table(schedule, steps, eta)
    for step, following in itertools.pairwise(table):
        n = following.t
        assert step.a + step.c * (1 - m[step.t]) == pytest.approx(1 - m[n], abs=1e-9)
        assert step.b + step.c * m[step.t] == pytest.approx(m[n], abs=1e-9)
        assert step.c**2 * variance[step.t] + step.s**2 == pytest.approx(variance[n], abs=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_below_eta_1_samples_keep_the_variance_that_the_released_step_loses(eta: float) -> None:
    """Walk 20,000 samples of the forward bridge back by five steps of both samplers."""
    schedule, x0, y = BridgeSchedule(), np.array(0.8), np.array(-0.4)
    m, variance = schedule.m(), schedule.variance()
    rng = np.random.default_rng(0)
    first, *_ = table = coefficient_table(schedule, 5, eta)
    spread = math.sqrt(variance[first.t]) * rng.standard_normal(20_000)
    own = released = (1 - m[first.t]) * x0 + m[first.t] * y + spread
    for step, following in itertools.pairwise(table):
        noise = rng.standard_normal(20_000)
        n = following.t
        own = np.asarray(reverse_step(step, x0, y, own, noise))
        released = published_step(released, x0, y, noise, step.t, n, 1000, eta)
        assert own.mean() == pytest.approx((1 - m[n]) * x0 + m[n] * y, abs=0.02)
        assert own.var() == pytest.approx(variance[n], rel=0.05)
    if eta == 1.0:
        assert np.allclose(released, own)
    else:  # at most eta^2 of the noise of the last step, and little of what came before
        assert released.var() < (0.1 + eta**2) * variance[n]


@given(st.integers(2, 1000), st.data())
def test_trailing_times_start_at_the_optical_end_and_descend(
    times: int, data: st.DataObject
) -> None:
    steps = data.draw(st.integers(1, times - 1))
    visited = step_times(times, steps)
    assert len(visited) == steps
    assert visited[0] == times - 1
    assert all(a > b for a, b in itertools.pairwise(visited))
    assert visited[-1] > 0


@pytest.mark.parametrize("steps", [0, -1, 1000])
def test_step_counts_out_of_range_are_rejected(steps: int) -> None:
    with pytest.raises(ValueError, match="steps"):
        step_times(1000, steps)


@pytest.mark.parametrize("eta", [-0.01, 1.01, math.nan])
def test_eta_out_of_range_is_rejected(eta: float) -> None:
    with pytest.raises(ValueError, match="eta"):
        coefficient_table(BridgeSchedule(), 4, eta)


@given(steps=st.integers(1, 30), times=st.integers(31, 1000), seed=st.integers(0, 2**32 - 1))
def test_a_perfect_network_recovers_the_sar_chip_without_noise(
    steps: int, times: int, seed: int
) -> None:
    x0, y = np.random.default_rng(seed).uniform(-1, 1, (2, 4, 6))
    schedule = BridgeSchedule(times)
    x_t = y
    for step in coefficient_table(schedule, steps, eta=0.0):
        assert step.s == 0.0
        x_t = reverse_step(step, predicted_x0(x_t, x_t - x0), y, x_t, 0.0)
    assert np.allclose(x_t, x0, atol=1e-12)


def test_deterministic_steps_keep_the_initial_noise() -> None:
    schedule = BridgeSchedule()
    m, variance = schedule.m(), schedule.variance()
    x0, y, noise = np.random.default_rng(4).standard_normal((3, 8))
    table = coefficient_table(schedule, 10, eta=0.0)
    x_t = (1 - m[999]) * x0 + m[999] * y + np.sqrt(variance[999]) * noise
    for step, following in itertools.pairwise(table):
        x_t = reverse_step(step, x0, y, x_t, 0.0)
        n = following.t
        on_path = (1 - m[n]) * x0 + m[n] * y + np.sqrt(variance[n]) * noise
        assert np.allclose(x_t, on_path, atol=1e-9)


def test_a_single_step_returns_the_network_output() -> None:
    assert coefficient_table(BridgeSchedule(), 1) == [BridgeStep(999, 1.0, 0.0, 0.0, 0.0)]
