"""The logistic formula for a single pair, against values by hand and its properties."""

import math

import pytest
from hypothesis import given, strategies as st

from service.contract.calibration import Evidence, fisher_z, probability
from service.contract.weighing.specs import LogisticSpec

SPEC = LogisticSpec(bias=-2.0, weights={"similarity": 4.0, "length_log_ratio": -3.0})


@pytest.mark.parametrize("prior", [0.001, 0.01, 0.5, 0.9])
def test_a_prior_shifts_the_odds_by_its_own(prior: float) -> None:
    evidence = Evidence(similarity=0.8, length_ratio=1.05, width_ratio=0.9)
    spec = LogisticSpec(bias=-1.0, weights={"similarity": 5.0, "length_log_ratio": -3.0})
    even = probability(evidence, spec)
    shifted = probability(evidence, spec, prior)
    ratio = even / (1 - even)
    assert shifted / (1 - shifted) == pytest.approx(ratio * prior / (1 - prior))


def test_probability_by_hand() -> None:
    evidence = Evidence(similarity=0.75, length_ratio=1.0, width_ratio=1.0)
    assert probability(evidence, SPEC) == pytest.approx(1 / (1 + math.exp(-1.0)))


def test_all_terms_by_hand() -> None:
    evidence = Evidence(0.5, 0.5, math.e)
    assert evidence.terms() == pytest.approx(
        {
            "similarity": 0.5,
            "similarity_z": math.log(3) / 2,
            "length_log_ratio": math.log(2),
            "width_log_ratio": 1.0,
        }
    )


def test_fisher_z_is_clipped_for_identical_chips() -> None:
    assert fisher_z(1.0) == fisher_z(0.999) == pytest.approx(math.log(1.995 / 0.005) / 2)
    assert fisher_z(-1.0) == -fisher_z(1.0)


@given(st.floats(0.05, 20))
def test_a_ratio_and_its_inverse_give_the_same_probability(ratio: float) -> None:
    longer = probability(Evidence(0.5, ratio, 1.0), SPEC)
    shorter = probability(Evidence(0.5, 1 / ratio, 1.0), SPEC)
    assert longer == pytest.approx(shorter)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_more_similar_is_never_less_probable(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert probability(Evidence(low, 1, 1), SPEC) <= probability(Evidence(high, 1, 1), SPEC)


@pytest.mark.parametrize(("bias", "expected"), [(1e6, 1.0), (-1e6, 0.0)])
def test_extreme_logits_do_not_overflow(bias: float, expected: float) -> None:
    assert probability(Evidence(0, 1, 1), LogisticSpec(bias=bias, weights={})) == expected


@pytest.mark.parametrize(
    "values", [(math.nan, 1, 1), (math.inf, 1, 1), (0.5, 0, 1), (0.5, -1, 1), (0.5, 1, math.nan)]
)
def test_evidence_that_is_not_finite_or_positive_is_rejected(
    values: tuple[float, float, float],
) -> None:
    with pytest.raises(ValueError, match="positive ratios"):
        Evidence(*values)
