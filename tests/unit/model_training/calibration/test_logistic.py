"""The logistic calibration of pairs: against its generator, another solver and the contract."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model_training.calibration.logistic import PAIR_EVIDENCE, fit_logistic, pair_probabilities
from model_training.calibration.searches import EVIDENCE
from service.contract.calibration import Evidence, probability
from service.contract.weighing.specs import EvidenceName, LogisticSpec

PAIRS = [EVIDENCE.index(name) for name in PAIR_EVIDENCE]
TRUTH: dict[EvidenceName, float] = {
    "similarity": 6.0,
    "length_log_ratio": -8.0,
    "width_log_ratio": -3.0,
}


def sample(count: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    evidence = np.zeros((count, 4))
    evidence[:, 0] = rng.uniform(-0.2, 1, count)
    evidence[:, 1] = np.arctanh(evidence[:, 0] * 0.99)
    evidence[:, 2:] = np.abs(rng.normal(0, 0.2, (count, 2)))
    spec = LogisticSpec(bias=-1.0, weights=TRUTH)
    return evidence, rng.random(count) < pair_probabilities(evidence, spec)


def test_the_weights_that_generated_the_data_are_recovered() -> None:
    spec = fit_logistic(*sample(60_000))
    assert spec.bias == pytest.approx(-1.0, abs=0.1)
    for name, weight in TRUTH.items():
        assert spec.weights[name] == pytest.approx(weight, rel=0.06)


def test_fit_equals_an_independent_solver_where_no_direction_binds() -> None:
    evidence, correct = sample(3000)
    ours = fit_logistic(evidence, correct)
    theirs = LogisticRegression(C=1e9, max_iter=5000, tol=1e-10).fit(evidence[:, PAIRS], correct)
    found = [ours.weights[name] for name in PAIR_EVIDENCE]
    np.testing.assert_allclose(found, theirs.coef_[0], rtol=2e-3)
    assert ours.bias == pytest.approx(theirs.intercept_[0], rel=5e-3, abs=5e-3)


def test_a_weight_never_has_the_wrong_sign() -> None:
    evidence, correct = sample(2000)
    spec = fit_logistic(evidence, ~correct)
    assert spec.weights["similarity"] == 0
    assert spec.weights["length_log_ratio"] == 0


def test_separable_data_give_finite_weights() -> None:
    evidence = np.zeros((40, 4))
    evidence[20:, 0] = 1.0
    spec = fit_logistic(evidence, np.arange(40) >= 20)
    assert np.isfinite(spec.weights["similarity"])
    assert pair_probabilities(evidence, spec)[-1] > 0.95


def test_pairs_of_one_outcome_are_refused() -> None:
    with pytest.raises(ValueError, match="both right and wrong"):
        fit_logistic(np.zeros((3, 4)), np.ones(3, np.bool_))


@given(st.floats(-1, 1), st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-50, 50))
def test_probabilities_of_many_pairs_equal_those_of_the_contract(
    similarity: float, length: float, width: float, bias: float
) -> None:
    evidence = Evidence(similarity, length, width)
    spec = LogisticSpec(bias=bias, weights=TRUTH)
    row = np.array([evidence.terms()[name] for name in EVIDENCE])
    assert pair_probabilities(row, spec) == pytest.approx(probability(evidence, spec), abs=1e-12)
