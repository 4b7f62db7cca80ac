"""A fitted calibration: its errors on other ships, its thresholds, and its documents."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from model_training.calibration import report as calibration_report
from model_training.calibration.calibrate import (
    CalibrationError,
    _confident_point,
    fit,
    require_trials,
)
from model_training.calibration.open_set import FirstAnswers
from model_training.calibration.report import CalibrationReport
from model_training.calibration.trials import WITHIN, first_answers, replay
from service.contract.weighing.specs import CalibrationSpec, ChoiceSpec, EvidenceName, VerdictName
from tests.support.training.training_data import embedded_ships


def answers(
    probability: Sequence[float], correct: Sequence[int], none: Sequence[float] | None = None
) -> FirstAnswers:
    count = len(probability)
    return FirstAnswers(
        query_ids=np.arange(count),
        enrolled=np.ones(count, np.bool_),
        correct=np.array(correct, np.bool_),
        probability=np.array(probability, np.float64),
        none=np.ones(count) if none is None else np.array(none),
    )


@pytest.fixture(scope="module")
def spec_and_report() -> tuple[CalibrationSpec, CalibrationReport]:
    validation = require_trials(embedded_ships(80, noise=0.7, seed=1), per_size=300)
    within = replay(embedded_ships(80, noise=0.7, seed=1), WITHIN, per_size=100)
    spec = fit(validation, within, "drawn ships")
    other = require_trials(embedded_ships(80, noise=0.7, seed=2), per_size=300, seed=1)
    return spec, calibration_report.measure(spec, other)


def test_calibration_errors_on_other_ships_are_small(
    spec_and_report: tuple[CalibrationSpec, CalibrationReport],
) -> None:
    _, report = spec_and_report
    assert report.ships == 80
    assert report.first_candidate.ece.value < 0.05
    assert report.candidates.ece.value < 0.02
    assert report.pairs.ece.value < 0.08


def test_brier_score_and_log_loss_by_hand() -> None:
    case = answers([0.8, 0.6, 0.0], [1, 0, 0])
    brier, loss = calibration_report.proper_scores(case)
    assert brier.value == pytest.approx((0.04 + 0.36 + 0.0) / 3)
    assert loss.value == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 3)


def test_verdicts_on_other_ships_are_mostly_right(
    spec_and_report: tuple[CalibrationSpec, CalibrationReport],
) -> None:
    _, report = spec_and_report
    verdicts = report.verdicts[50]
    assert sum(rated.share for rated in verdicts.values()) == pytest.approx(1.0)
    expected: dict[VerdictName, float] = {"confident": 0.9, "no_match": 0.8}
    for verdict, least in expected.items():
        rated = verdicts[verdict]
        assert rated.share > 0.1
        assert rated.right is not None
        assert rated.right.value > least


def test_operating_points_cover_sizes_and_rates_and_transfer(
    spec_and_report: tuple[CalibrationSpec, CalibrationReport],
) -> None:
    spec, report = spec_and_report
    assert [(p.gallery_vessels, p.false_identification_rate) for p in spec.operating_points] == [
        (50, 0.01),
        (50, 0.05),
    ]
    for point in spec.operating_points:
        assert point.identification_low <= point.identification_rate <= point.identification_high
        achieved = report.open_set[point.gallery_vessels, point.false_identification_rate]
        assert achieved.threshold == point.threshold
        assert achieved.false_identification.value < 0.15


def test_spec_and_report_survive_json(
    spec_and_report: tuple[CalibrationSpec, CalibrationReport],
) -> None:
    spec, report = spec_and_report
    assert CalibrationSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.fitted_on == "drawn ships"
    assert spec.match_same_sensor is not None
    assert spec.verify.weights.keys() == {"similarity", "length_log_ratio", "width_log_ratio"}
    numbers = json.loads(json.dumps(report.document()))
    assert numbers["ece_first_candidate"]["value"] == report.first_candidate.ece.value
    assert len(numbers["open_set"]) == 2


def test_open_set_metrics_are_the_achieved_rates_in_per_cent(
    spec_and_report: tuple[CalibrationSpec, CalibrationReport],
) -> None:
    spec, report = spec_and_report
    metrics = calibration_report.open_set_metrics(report, "other ships")
    assert len(metrics) == 2 * len(spec.operating_points)
    for point in spec.operating_points:
        achieved = report.open_set[point.gallery_vessels, point.false_identification_rate]
        pair = calibration_report.open_set_names(point.false_identification_rate)
        found, false = (next(m for m in metrics if m.name == name) for name in pair)
        assert found.gallery == false.gallery == 50
        assert found.value == pytest.approx(100 * achieved.identification.value)
        assert false.value == pytest.approx(100 * achieved.false_identification.value)
        assert false.low is not None
        assert false.high is not None
        assert false.low <= false.value <= false.high
        queries = [metric.queries or 0 for metric in (found, false)]
        assert sum(queries) == 600  # searches in galleries of 50, of both kinds
        assert min(queries) > 200


def test_fit_is_reproducible() -> None:
    table = embedded_ships(30)
    a, b = (fit(require_trials(table, per_size=50), None, "x") for _ in range(2))
    assert a == b
    assert a.match_same_sensor is None
    assert a.verify_same_sensor is None
    assert a.similarities is not None
    assert {(c.query, c.gallery) for c in a.similarities.searches} == {
        *(("sar", "optical"), ("optical", "sar"))
    }


def test_too_few_ships_are_refused() -> None:
    with pytest.raises(CalibrationError, match="at least 20 ships"):
        require_trials(embedded_ships(19))


def test_one_view_per_sensor_gives_no_trials_within_a_sensor() -> None:
    assert replay(embedded_ships(30, views=1), WITHIN) is None


def test_first_answer_is_the_most_probable_not_the_most_similar() -> None:
    trials = require_trials(embedded_ships(40, noise=1.2), per_size=200)
    weights: dict[EvidenceName, float] = {"length_log_ratio": -5.0}
    by_size = ChoiceSpec(weights=weights, none_bias=0.0, none_log_gallery=0.0)
    first = first_answers(trials.searches, by_size)
    log_ratio = np.where(trials.searches.present, trials.searches.evidence[..., 2], np.inf)
    shares = np.exp(-5 * log_ratio)
    np.testing.assert_allclose(first.probability, shares.max(axis=1) / (1 + shares.sum(axis=1)))


def test_a_confident_threshold_is_the_lowest_whose_interval_is_precise_enough() -> None:
    # All 200 answers at 0.9 are right, of 100 at 0.7 only 80 are.
    case = answers([0.9] * 200 + [0.7] * 100, [1] * 200 + [1] * 80 + [0] * 20)
    point = _confident_point(case, 50)
    assert point is not None
    assert point.threshold == pytest.approx(0.701)
    assert (point.right, point.answers, point.gallery_vessels) == (1.0, 200, 50)
    assert point.right_low >= 0.95


@pytest.mark.parametrize(
    ("probabilities", "right"),
    [
        # The share that is right suffices, the lower end of its interval does not.
        ([0.9] * 100, [1] * 96 + [0] * 4),
        # All are right, but an error of one in ten would often stay unseen among so few.
        ([0.9] * 28, [1] * 28),
        # Too few answers to tell.
        ([0.9] * 19, [1] * 19),
        # Precise enough, but below one half.
        ([0.4] * 200, [1] * 200),
    ],
)
def test_without_enough_evidence_there_is_no_confident_threshold(
    probabilities: list[float], right: list[int]
) -> None:
    assert _confident_point(answers(probabilities, right), 50) is None


def test_confident_thresholds_are_measured_for_each_gallery_size() -> None:
    trials = require_trials(embedded_ships(120, noise=0.3), per_size=400)
    spec = fit(trials, None, "invented")
    assert spec.confident
    sizes = [point.gallery_vessels for point in spec.confident]
    assert sizes == sorted(sizes)
    assert spec.confident_from == min(point.threshold for point in spec.confident)
    assert spec.confident_threshold(sizes[0]) == spec.confident[0].threshold
    assert spec.confident_threshold(10**6) is None
    report = calibration_report.measure(spec, trials)
    assert report.verdicts.keys() >= set(sizes)
