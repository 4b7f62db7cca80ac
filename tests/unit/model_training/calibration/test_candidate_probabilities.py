"""The nested logit of candidates: by hand, against its generator, and its optimum."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from model_training.calibration.calibrate import require_trials
from model_training.calibration.candidate_probabilities import (
    CANDIDATE_EVIDENCE,
    candidate_probabilities,
    fit_choice,
    log_sum,
    scores_of,
)
from model_training.calibration.searches import Searches
from service.contract.weighing.specs import ChoiceSpec, EvidenceName
from tests.support.training.training_data import embedded_ships

TRUTH = ChoiceSpec(
    weights={"similarity_z": 8.0, "length_log_ratio": -6.0, "width_log_ratio": -3.0},
    none_bias=2.0,
    none_log_gallery=0.7,
    none_log_sum=0.3,
)


def searches_of(
    evidence: NDArray[np.float64],
    present: NDArray[np.bool_],
    gallery_vessels: ArrayLike,
    place: ArrayLike,
) -> Searches:
    """Make searches whose own vessel is candidate `place`, or no candidate if it is -1."""
    count, most = present.shape
    correct = np.arange(most) == np.asarray(place)[:, None]
    return Searches(
        query_sensor=np.full(count, "sar"),
        gallery_sensor=np.full(count, "optical"),
        query_ids=np.arange(count),
        gallery_vessels=np.asarray(gallery_vessels),
        enrolled=correct.any(axis=1),
        evidence=evidence,
        present=present,
        correct=correct,
    )


def drawn(count: int, seed: int = 0, most: int = 8) -> Searches:
    """Draw searches whose outcome follows `TRUTH`."""
    rng = np.random.default_rng(seed)
    evidence = np.abs(rng.normal(0, 0.3, (count, most, 4)))
    evidence[..., :2] = rng.uniform(-0.2, 1, (count, most, 1))
    sizes = rng.choice([4, 8, 50, 500], count)
    present = np.arange(most) < np.minimum(sizes, most)[:, None]
    searches = searches_of(evidence, present, sizes, np.full(count, -1))
    shares = candidate_probabilities(searches, TRUTH)
    place = (rng.random(count)[:, None] > shares.cumsum(axis=1)).sum(axis=1) - 1
    return searches_of(evidence, present, sizes, place)


def test_probabilities_by_hand() -> None:
    evidence = np.zeros((1, 3, 4))
    evidence[0, :, 1] = [0.5, 0.25, 9.0]
    evidence[0, 1, 2] = 0.5
    present = np.array([[True, True, False]])
    case = searches_of(evidence, present, [math.e], [0])
    shares = candidate_probabilities(case, TRUTH)
    log_sum = math.log(math.exp(4.0) + math.exp(-1.0))
    powers = np.exp([2.7 + 0.3 * log_sum, 4.0, 2.0 - 3.0])
    np.testing.assert_allclose(shares, [[*powers / powers.sum(), 0.0]])


def test_the_weights_that_generated_the_data_are_recovered() -> None:
    spec = fit_choice(drawn(40_000))
    for name in CANDIDATE_EVIDENCE:
        assert spec.weights[name] == pytest.approx(TRUTH.weights[name], rel=0.06)
    assert spec.none_bias == pytest.approx(2.0, abs=0.15)
    assert spec.none_log_gallery == pytest.approx(0.7, abs=0.05)
    assert spec.none_log_sum == pytest.approx(0.3, abs=0.03)


def test_at_the_optimum_expected_and_observed_evidence_agree() -> None:
    # The derivatives of the likelihood are zero: by the score of "none", by its coefficients, and
    # by each weight, which counts in the own candidate's score and in the sum of all scores.
    case = drawn(3000)
    spec = fit_choice(case)
    shares = candidate_probabilities(case, spec)
    own, found = case.correct, case.correct.any(axis=1)
    assert shares[:, 0].sum() == pytest.approx((~found).sum(), rel=1e-3)
    _, scores = scores_of(case, spec)
    total = log_sum(scores)
    assert (shares[:, 0] * total).sum() == pytest.approx(total[~found].sum(), rel=1e-3)
    within = np.exp(scores - total[:, None])
    surplus = spec.none_log_sum * (shares[:, 0] - ~found)
    for kind in (1, 2, 3):
        values = np.where(case.present, case.evidence[..., kind], 0.0)
        expected = ((shares[:, 1:] + surplus[:, None] * within) * values).sum()
        assert expected == pytest.approx(values[own].sum(), rel=1e-3)


def test_galleries_that_are_alike_as_a_whole_do_not_spoil_the_probability_of_none() -> None:
    # In half of the searches all candidates, the own one or not, are more similar by one amount.
    case = drawn(6000)
    alike = np.random.default_rng(1).random(6000) < 0.5
    case.evidence[..., 1] += np.where(alike, 0.4, 0.0)[:, None]
    none = np.asarray(~case.correct.any(axis=1))
    spec = fit_choice(case)
    assert spec.none_log_sum > 0.5
    shares = candidate_probabilities(case, spec)[:, 0]
    for group in (alike, ~alike):  # off by 0.15 with a none_log_sum of 0
        assert shares[group].mean() == pytest.approx(none[group].mean(), abs=0.1)


def test_a_search_without_candidates_is_none() -> None:
    nobody = searches_of(np.zeros((1, 2, 4)), np.zeros((1, 2), np.bool_), [1], [-1])
    np.testing.assert_array_equal(candidate_probabilities(nobody, TRUTH), [[1.0, 0.0, 0.0]])


def test_the_order_of_candidates_does_not_matter() -> None:
    case = drawn(500)
    turned = searches_of(
        case.evidence[:, ::-1],
        case.present[:, ::-1],
        case.gallery_vessels,
        np.where(case.enrolled, 7 - case.correct.argmax(axis=1), -1),
    )
    a, b = fit_choice(case), fit_choice(turned)
    assert a.weights == pytest.approx(b.weights, rel=1e-4)
    assert a.none_bias == pytest.approx(b.none_bias, rel=1e-4)


def test_a_weight_never_has_the_wrong_sign() -> None:
    case = drawn(2000)
    least = np.where(case.present, case.evidence[..., 1], np.inf).argmin(axis=1)
    longest = np.where(case.present, case.evidence[..., 2], -np.inf).argmax(axis=1)
    names: tuple[EvidenceName, ...] = ("similarity_z", "length_log_ratio")
    for place, name in zip((least, longest), names, strict=True):
        place[::4] = -1
        wrong = searches_of(case.evidence, case.present, case.gallery_vessels, place)
        assert fit_choice(wrong).weights[name] == 0


def test_separable_data_give_finite_weights() -> None:
    evidence = np.zeros((40, 1, 4))
    evidence[20:, 0, 1] = 1.0
    place = np.where(np.arange(40) >= 20, 0, -1)
    case = searches_of(evidence, np.ones((40, 1), np.bool_), np.ones(40), place)
    spec = fit_choice(case)
    assert np.isfinite(spec.weights["similarity_z"])
    assert candidate_probabilities(case, spec)[-1, 1] > 0.95


@pytest.mark.parametrize("place", [0, -1])
def test_searches_of_one_outcome_are_refused(place: int) -> None:
    case = drawn(10)
    same = searches_of(case.evidence, case.present, case.gallery_vessels, np.full(10, place))
    with pytest.raises(ValueError, match="ships not enrolled"):
        fit_choice(same)


def test_centres_divide_the_bias_and_make_likelihood_ratios() -> None:
    searches = require_trials(embedded_ships(60, noise=1.0), per_size=100).searches
    spec = fit_choice(searches)
    assert sum(spec.centres.values()) == pytest.approx(-spec.none_bias)
    lengths = searches.evidence[searches.present & ~searches.correct][:, 2]
    log_ratio = spec.weights["length_log_ratio"] * lengths + spec.centres["length_log_ratio"]
    assert np.exp(log_ratio).mean() == pytest.approx(1.0)
