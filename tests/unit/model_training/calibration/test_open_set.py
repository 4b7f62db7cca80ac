"""Operating points of an open-set search: thresholds, rates and intervals."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import ArrayLike

from model_training.calibration.open_set import FirstAnswers, choose_point, measure_point


def answers(enrolled: ArrayLike, correct: ArrayLike, probability: ArrayLike) -> FirstAnswers:
    probabilities = np.array(probability, np.float64)
    return FirstAnswers(
        query_ids=np.arange(probabilities.size),
        enrolled=np.array(enrolled, np.bool_),
        correct=np.array(correct, np.bool_),
        probability=probabilities,
        none=1 - probabilities,
    )


def test_hand_computed_point() -> None:
    # strangers score 0.1, 0.2, 0.3, 0.8; one of four may be accepted: the threshold is above 0.3
    case = answers(
        [0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 1, 0, 1],
        [0.1, 0.2, 0.3, 0.8, 0.9, 0.3, 0.95, 0.5],
    )
    point = choose_point(case, 0.25)
    assert 0.3 < point.threshold < 0.3001
    assert point.false_identification.value == 0.25
    assert (point.strangers, point.enrolled) == (4, 4)
    # identified: 0.9 and 0.5; 0.3 is below the threshold, 0.95 is the wrong ship
    assert point.identification.value == 0.5
    assert measure_point(case, point.threshold).identification.value == 0.5


def test_a_strict_rate_accepts_no_stranger() -> None:
    case = answers([0, 0, 1, 1], [0, 0, 1, 1], [0.4, 1.0, 1.0, 0.9])
    point = choose_point(case, 0.01)
    assert point.threshold > 1.0
    assert point.identification.value == 0.0


@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.05, 0.3]))
@settings(max_examples=50, deadline=None)
def test_the_threshold_is_the_lowest_that_keeps_the_rate(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    enrolled = np.arange(80) % 2 == 0
    case = answers(enrolled, enrolled, np.round(rng.random(80), 1))
    point = choose_point(case, rate, draws=20)
    assert point.false_identification.value <= rate
    strangers = case.probability[~enrolled]
    below = strangers[strangers < point.threshold]
    assert (strangers >= below.max()).mean() > rate


def test_the_interval_contains_the_value_and_narrows_with_more_ships() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (100, 3000):
        enrolled = np.arange(count) % 2 == 0
        case = answers(enrolled, enrolled, rng.beta(2 + 2 * enrolled, 2))
        low, high = choose_point(case, 0.05).identification.ends
        assert low <= choose_point(case, 0.05).identification.value <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_interval_of_false_identifications_is_that_of_a_binomial() -> None:
    """Scores of strangers are uniform, so a tenth of them is above 0.9."""
    rng = np.random.default_rng(0)
    enrolled = np.arange(4000) % 2 == 0
    point = measure_point(answers(enrolled, enrolled, rng.random(4000)), 0.9)
    low, high = point.false_identification.ends
    assert low < 0.1 < high
    # a share of 2000 ships: 1.96 standard deviations of a binomial to each side
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.1 * 0.9 / 2000), rel=0.15)


def test_one_kind_of_query_or_one_ship_is_refused() -> None:
    with pytest.raises(ValueError, match="with and without"):
        choose_point(answers([1, 1], [1, 1], [0.5, 0.6]), 0.05)
    lone = answers([1, 0], [1, 0], [0.5, 0.6])
    with pytest.raises(ValueError, match="two vessels"):
        choose_point(
            FirstAnswers(
                np.zeros(2, np.int64), lone.enrolled, lone.correct, lone.probability, lone.none
            ),
            0.05,
        )
