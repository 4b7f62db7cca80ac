"""The nested logit of candidates and "none", against values by hand and its properties."""

import math
from random import Random

import pytest
from hypothesis import given, strategies as st

from service.contract.calibration import Evidence
from service.contract.candidate_probabilities import contributions, probabilities_from_log_odds
from service.contract.weighing.specs import ChoiceSpec

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
NESTED = SPEC.model_copy(update={"none_log_sum": 0.4})
PAIRS = (Evidence(0.9, 1.1, 0.9), Evidence(0.8, 1.0, 1.0), Evidence(-0.2, 3.0, 2.0))
LOG_ODDS = st.lists(st.floats(-30, 30), min_size=1, max_size=20)


def test_three_alternatives_by_hand() -> None:
    probabilities = probabilities_from_log_odds([math.log(6.0), math.log(3.0)])
    assert probabilities.candidates == pytest.approx((0.6, 0.3))
    assert probabilities.none == pytest.approx(0.1)


def test_contributions_by_hand() -> None:
    (parts,) = contributions([Evidence(0.5, 0.5, math.e)], SPEC, gallery_vessels=100)
    assert parts == pytest.approx(
        {
            "similarity": 1.0,
            "similarity_z": math.log(3),
            "length_log_ratio": -3.0 * math.log(2),
            "width_log_ratio": -2.0,
            "none": -1.0 - 0.5 * math.log(100),
        }
    )


def test_contributions_sum_to_the_log_odds_against_none() -> None:
    parts = contributions(PAIRS, NESTED, 500)
    probabilities = probabilities_from_log_odds([sum(part.values()) for part in parts])
    for part, probability in zip(parts, probabilities.candidates, strict=True):
        assert sum(part.values()) == pytest.approx(math.log(probability / probabilities.none))


def test_the_candidates_together_count_less_against_none() -> None:
    plain, nested = (contributions(PAIRS, spec, 500) for spec in (SPEC, NESTED))
    none = SPEC.none_bias + SPEC.none_log_gallery * math.log(500)
    sums = [sum(part.values()) + none for part in plain]
    log_sum = math.log(math.fsum(math.exp(score) for score in sums))
    for before, after in zip(plain, nested, strict=True):
        assert before.pop("similarity_z") - after.pop("similarity_z") == pytest.approx(
            0.4 * log_sum
        )
        assert before == after
    found = probabilities_from_log_odds(
        [sum(p.values()) for p in contributions(PAIRS, NESTED, 500)]
    )
    expected = math.exp((1 - 0.4) * log_sum - none)
    assert (1 - found.none) / found.none == pytest.approx(expected)


def test_other_candidates_only_lower_the_log_odds_of_one() -> None:
    (alone,) = contributions(PAIRS[:1], NESTED, 500)
    assert sum(alone.values()) > sum(contributions(PAIRS, NESTED, 500)[0].values())


def test_no_candidates_have_no_contributions() -> None:
    assert contributions([], NESTED, 500) == []


def test_without_candidates_the_probability_of_none_is_one() -> None:
    assert probabilities_from_log_odds([]).none == 1.0


def test_extreme_odds_do_not_overflow() -> None:
    probabilities = probabilities_from_log_odds([1e6, -1e6])
    assert probabilities.candidates == (1.0, 0.0)
    assert probabilities.none == 0.0


@given(LOG_ODDS)
def test_probabilities_sum_to_one(log_odds: list[float]) -> None:
    probabilities = probabilities_from_log_odds(log_odds)
    assert math.fsum((*probabilities.candidates, probabilities.none)) == pytest.approx(1.0)
    assert all(0 <= share <= 1 for share in (*probabilities.candidates, probabilities.none))


@given(LOG_ODDS, st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(log_odds: list[float], random: Random) -> None:
    order = random.sample(range(len(log_odds)), len(log_odds))
    before = probabilities_from_log_odds(log_odds)
    after = probabilities_from_log_odds([log_odds[i] for i in order])
    assert after.none == pytest.approx(before.none)
    assert after.candidates == pytest.approx(tuple(before.candidates[i] for i in order))


@given(LOG_ODDS, st.floats(-5, 5))
def test_another_candidate_lowers_the_first_probability(
    log_odds: list[float], rival: float
) -> None:
    alone = probabilities_from_log_odds(log_odds)
    with_rival = probabilities_from_log_odds([*log_odds, rival])
    first = max(range(len(log_odds)), key=log_odds.__getitem__)
    assert with_rival.candidates[first] < alone.candidates[first] or log_odds[first] > 30 - 1
    assert with_rival.none <= alone.none


@given(st.floats(-1, 1), st.floats(-1, 1), LOG_ODDS)
def test_more_similar_is_never_less_probable(a: float, b: float, rest: list[float]) -> None:
    low, high = (
        probabilities_from_log_odds(
            [sum(contributions([Evidence(value, 1, 1)], NESTED, 10)[0].values()), *rest]
        )
        for value in sorted((a, b))
    )
    assert low.candidates[0] <= high.candidates[0]
    assert low.none >= high.none


@given(st.floats(0.05, 20))
def test_a_ratio_and_its_inverse_give_the_same_contributions(ratio: float) -> None:
    (longer,) = contributions([Evidence(0.5, ratio, 1.0)], SPEC, 10)
    (shorter,) = contributions([Evidence(0.5, 1 / ratio, 1.0)], SPEC, 10)
    assert longer == pytest.approx(shorter)


def test_log_odds_fall_with_the_number_of_vessels() -> None:
    one = [Evidence(0.5, 1, 1)]
    odds = [sum(contributions(one, SPEC, n)[0].values()) for n in (1, 10, 1000)]
    assert odds == sorted(odds, reverse=True)
