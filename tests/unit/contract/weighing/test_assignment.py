"""Joint marginals of chips of one image: against enumeration, and their properties."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from service.contract.weighing.assignment import (
    EXACT_CHIPS,
    exact_marginals,
    joint_probabilities,
    propagated_marginals,
)


def enumerated(odds: NDArray[np.float64], gallery_vessels: int) -> NDArray[np.float64]:
    """Return the marginals by a sum over all assignments."""
    chips, vessels = odds.shape
    sums = np.zeros((chips, 1 + vessels))
    for assignment in itertools.product(range(1 + vessels), repeat=chips):
        named = [v for v in assignment if v]
        if len(named) == len(set(named)):
            weight = np.prod([odds[i, v - 1] for i, v in enumerate(assignment) if v])
            weight *= np.prod([gallery_vessels / (gallery_vessels - j) for j in range(len(named))])
            for i, v in enumerate(assignment):
                sums[i, v] += weight
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))


log_odds = st.integers(1, 3).flatmap(
    lambda chips: st.integers(1, 4).flatmap(
        lambda vessels: st.lists(
            st.lists(
                st.one_of(st.floats(-8, 8), st.just(-np.inf)), min_size=vessels, max_size=vessels
            ),
            min_size=chips,
            max_size=chips,
        )
    )
)


@given(log_odds)
def test_exact_marginals_equal_those_of_enumeration(rows: list[list[float]]) -> None:
    odds = np.exp(np.array(rows, np.float64))
    np.testing.assert_allclose(exact_marginals(odds, 6), enumerated(odds, 6), atol=1e-9)


def test_one_chip_is_answered_as_alone() -> None:
    odds = np.array([[0.5, 2.0, 0.0]])
    expected = np.array([[1.0, 0.5, 2.0, 0.0]]) / 3.5
    np.testing.assert_allclose(exact_marginals(odds, 3), expected)
    np.testing.assert_allclose(propagated_marginals(odds, 3), expected)


def test_a_vessel_that_another_chip_shows_leaves_room_for_the_second() -> None:
    first = [12.0, -5.0]  # surely vessel 0
    second = [3.0, 2.0]  # alone: rather vessel 0
    joint = joint_probabilities(np.array([first, second]), 2)
    assert joint[0].argmax() == 1
    assert joint[1].argmax() == 2
    assert joint[1, 1] < 0.01


@pytest.mark.parametrize("chips", [2, EXACT_CHIPS, EXACT_CHIPS + 1, 60])
def test_no_vessel_is_shared_by_more_than_one_chip_on_average(chips: int) -> None:
    rng = np.random.default_rng(chips)
    joint = joint_probabilities(rng.normal(0.0, 3.0, (chips, 12)), 100)
    np.testing.assert_allclose(joint.sum(axis=1), 1.0)
    # belief propagation meets the limit only about
    assert (joint[:, 1:].sum(axis=0) <= 1.0 + (1e-9 if chips <= EXACT_CHIPS else 1e-3)).all()


def test_extreme_odds_stay_finite() -> None:
    rows = np.full((4, 5), -np.inf)
    rows[np.arange(4), np.arange(4)] = 500.0
    rows[3, 0] = 490.0
    for joint in (joint_probabilities(rows, 5), joint_probabilities(np.repeat(rows, 5, axis=0), 5)):
        assert np.isfinite(joint).all()


def test_belief_propagation_is_close_to_exact() -> None:
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(30):
        odds = np.exp(rng.normal(-2.0, 3.0, (6, 20)))
        gaps.append(np.abs(propagated_marginals(odds, 50) - exact_marginals(odds, 50)).max())
    assert np.median(gaps) < 0.05
    assert max(gaps) < 0.2


def test_two_hundred_chips_and_five_thousand_vessels_take_less_than_a_second() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(-9.0, 3.0, (200, 5000))
    rows[np.arange(200), np.arange(200)] += 10.0
    began = time.process_time()
    joint_probabilities(rows, 5000)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("chips", [6, 12])
def test_chips_that_tell_nothing_keep_the_prior_of_none(chips: int) -> None:
    vessels = 14
    rows = np.full((chips, vessels), -np.log(vessels))
    joint = joint_probabilities(rows, vessels)
    np.testing.assert_allclose(joint[:, 0], 0.5, atol=1e-9 if chips <= EXACT_CHIPS else 0.05)
