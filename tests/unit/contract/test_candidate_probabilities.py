"""Candidates compete with each other and with none of them, checked by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.calibration import Evidence
from service.contract.candidate_probabilities import choose, contributions
from service.contract.manifest import ChoiceSpec

SPEC = ChoiceSpec(
    weights={
        "similarity": 2.0,
        "similarity_z": 2.0,
        "length_log_ratio": -3.0,
        "width_log_ratio": -2.0,
    },
    none_bias=1.0,
    none_log_gallery=0.5,
)
LOG_ODDS = st.lists(st.floats(-30, 30), min_size=1, max_size=20)


def test_three_alternatives_by_hand() -> None:
    choice = choose([math.log(6.0), math.log(3.0)])
    assert choice.candidates == pytest.approx((0.6, 0.3))
    assert choice.none == pytest.approx(0.1)


def test_contributions_by_hand() -> None:
    parts = contributions(Evidence(0.5, 0.5, math.e), SPEC, gallery_vessels=100)
    assert parts == pytest.approx(
        {
            "similarity": 1.0,
            "similarity_z": math.log(3),
            "length_log_ratio": -3.0 * math.log(2),
            "width_log_ratio": -2.0,
            "none": -1.0 - 0.5 * math.log(100),
        }
    )


def test_contributions_add_up_to_the_log_odds_against_none() -> None:
    pairs = (Evidence(0.9, 1.1, 0.9), Evidence(0.8, 1.0, 1.0), Evidence(-0.2, 3.0, 2.0))
    parts = [contributions(pair, SPEC, 500) for pair in pairs]
    choice = choose([sum(one.values()) for one in parts])
    for one, probability in zip(parts, choice.candidates, strict=True):
        assert sum(one.values()) == pytest.approx(math.log(probability / choice.none))


def test_with_nothing_to_choose_from_it_is_none() -> None:
    assert choose([]).none == 1.0


def test_extreme_odds_do_not_overflow() -> None:
    choice = choose([1e6, -1e6])
    assert choice.candidates == (1.0, 0.0)
    assert choice.none == 0.0


@given(LOG_ODDS)
def test_probabilities_sum_to_one(log_odds: list[float]) -> None:
    choice = choose(log_odds)
    assert math.fsum((*choice.candidates, choice.none)) == pytest.approx(1.0)
    assert all(0 <= share <= 1 for share in (*choice.candidates, choice.none))


@given(LOG_ODDS, st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(log_odds: list[float], random) -> None:  # type: ignore[no-untyped-def]
    order = random.sample(range(len(log_odds)), len(log_odds))
    before, after = choose(log_odds), choose([log_odds[i] for i in order])
    assert after.none == pytest.approx(before.none)
    assert after.candidates == pytest.approx(tuple(before.candidates[i] for i in order))


@given(LOG_ODDS, st.floats(-5, 5))
def test_a_look_alike_lowers_the_first(log_odds: list[float], rival: float) -> None:
    alone, beside = choose(log_odds), choose([*log_odds, rival])
    first = max(range(len(log_odds)), key=log_odds.__getitem__)
    assert beside.candidates[first] < alone.candidates[first] or log_odds[first] > 30 - 1
    assert beside.none <= alone.none


@given(st.floats(-1, 1), st.floats(-1, 1), LOG_ODDS)
def test_more_similar_is_never_less_probable(one: float, other: float, rest: list[float]) -> None:
    low, high = (
        choose([sum(contributions(Evidence(value, 1, 1), SPEC, 10).values()), *rest])
        for value in sorted((one, other))
    )
    assert low.candidates[0] <= high.candidates[0]
    assert low.none >= high.none


@given(st.floats(0.05, 20))
def test_too_long_counts_as_much_as_too_short(ratio: float) -> None:
    longer = contributions(Evidence(0.5, ratio, 1.0), SPEC, 10)
    assert longer == pytest.approx(contributions(Evidence(0.5, 1 / ratio, 1.0), SPEC, 10))


def test_one_of_more_vessels_is_less_probable() -> None:
    odds = [sum(contributions(Evidence(0.5, 1, 1), SPEC, n).values()) for n in (1, 10, 1000)]
    assert odds == sorted(odds, reverse=True)
