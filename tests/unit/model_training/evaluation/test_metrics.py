"""Intervals of retrieval metrics, and what results refuse."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.evaluation.metrics import (
    Estimate,
    RetrievalResult,
    bootstrap_mean,
    draw_identities,
    identity_weights,
    share_of_right,
)

Ids = NDArray[np.int64]


def ids(*values: int) -> Ids:
    return np.array(values, np.int64)


def test_bootstrap_draws_whole_identities() -> None:
    # each ship's chips agree with each other: repeating chips must not narrow the interval
    values, identities = np.array([0.0, 1.0, 1.0, 0.0]), ids(1, 2, 3, 4)
    once = bootstrap_mean(values, identities)
    often = bootstrap_mean(np.repeat(values, 50), np.repeat(identities, 50))
    assert (once.low, once.high) == (often.low, often.high)


@pytest.mark.parametrize("ships", [12, 40])
def test_the_95_per_cent_interval_covers_the_truth_in_about_95_per_cent_of_trials(
    ships: int,
) -> None:
    rng = np.random.default_rng(1)
    trials, covered = 500, 0
    identities = np.repeat(np.arange(ships), 3)
    for trial in range(trials):
        values = np.repeat(rng.normal(size=ships), 3) + 0.1 * rng.normal(size=identities.size)
        interval = bootstrap_mean(values, identities, draws=500, seed=trial)
        low, high = interval.ends
        covered += low <= 0.0 <= high
    assert 0.92 <= covered / trials <= 0.98


@pytest.mark.parametrize(("ships", "truth"), [(40, 0.8), (200, 0.8), (200, 0.97)])
def test_the_interval_of_a_share_covers_the_truth_although_ships_repeat(
    ships: int, truth: float
) -> None:
    rng = np.random.default_rng(2)
    identities = np.repeat(np.arange(ships), 5)
    trials, covered = 400, 0
    for _ in range(trials):
        # Beta(a, b) has the mean a / (a + b): answers about one ship resemble each other.
        of_ship = rng.beta(4 * truth, 4 * (1 - truth), ships)
        right = rng.random(identities.size) < np.repeat(of_ship, 5)
        low, high = share_of_right(right, identities).ends
        covered += low <= truth <= high
    assert covered / trials >= 0.93


def test_the_interval_of_a_share_has_a_width_where_all_answers_are_right() -> None:
    all_right = share_of_right(np.ones(56, np.bool_), np.repeat(np.arange(28), 2))
    # 0.025 ** (1 / 28): the exact bound of 28 of 28
    assert (all_right.value, all_right.high) == (1.0, 1.0)
    assert all_right.low == pytest.approx(0.8766, abs=1e-4)
    none_right = share_of_right(np.zeros(28, np.bool_), np.arange(28))
    assert none_right.low == 0.0
    assert none_right.high == pytest.approx(0.1234, abs=1e-4)


def test_independent_answers_get_the_exact_binomial_interval() -> None:
    right = np.arange(100) < 90
    interval = share_of_right(right, np.arange(100))
    # Clopper and Pearson for 90 of 100
    assert interval.low == pytest.approx(0.8238, abs=1e-4)
    assert interval.high == pytest.approx(0.9510, abs=1e-4)


def test_the_share_of_no_answers_and_of_one_ship() -> None:
    with pytest.raises(ValueError, match="no answers"):
        share_of_right(np.zeros(0, np.bool_), ids())
    assert share_of_right(np.array([True, False]), ids(3, 3)) == Estimate(0.5, None, None)


def test_one_identity_gives_no_interval() -> None:
    assert bootstrap_mean(np.array([0.0, 1.0]), ids(3, 3)) == Estimate(0.5, None, None)


def test_identity_weights_give_rows_of_one_ship_the_same_count() -> None:
    weights = identity_weights(ids(5, 9, 5), draws=50, seed=1)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, :2].sum(axis=1) == 2).all()
    assert (draw_identities(4, 30, 0).sum(axis=1) == 4).all()


def test_impossible_results_and_intervals_are_refused() -> None:
    def estimate(value: float) -> Estimate:
        return Estimate(value, None, None)

    falling = {1: estimate(50.0), 5: estimate(40.0), 10: estimate(60.0)}
    with pytest.raises(ValueError, match="must not fall"):
        RetrievalResult(estimate(50.0), falling, queries=1, gallery=1, skipped=0)
    with pytest.raises(ValueError, match="upside down"):
        Estimate(1.0, 2.0, 1.0)
    with pytest.raises(ValueError, match="at least two ships"):
        _ = estimate(1.0).ends
