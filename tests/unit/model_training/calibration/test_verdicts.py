"""Verdict thresholds: chosen by the share of right answers, and measured on other ships."""

import numpy as np
import pytest

from model_training.calibration.calibrate import fit, require_trials
from model_training.calibration.verdicts import (
    MIN_RIGHT,
    Answers,
    answers_of,
    given,
    measure_points,
    rate_verdicts,
)
from service.contract.weighing.verdicts import Thresholds, decide, thresholds_of
from tests.support.training.training_data import embedded_ships


def test_what_counts_as_right() -> None:
    answers = Answers(
        query_ids=np.arange(7),
        probability=np.array(
            [
                [0.1, 0.9, 0.0],
                [0.1, 0.9, 0.0],
                [0.9, 0.1, 0.0],
                [0.9, 0.1, 0.0],
                [0.1, 0.5, 0.4],
                [0.1, 0.5, 0.4],
                [0.0, 0.5, 0.5],
            ]
        ),
        truth=np.array([1, 0, 0, -1, 2, 0, -1]),
    )
    thresholds = Thresholds(likely=0.8, no_match=0.8, ambiguous=0.85)
    verdicts, right = given(answers, thresholds)
    assert verdicts.tolist() == ["likely"] * 2 + ["no_match"] * 2 + ["ambiguous"] * 3
    # none of them is not among the named of the sixth, an enrolled ship was not weighed in the last
    assert right.tolist() == [True, False, True, False, True, False, False]
    rated = rate_verdicts(answers, thresholds)
    assert rated["likely"].answers == 2
    assert rated["no_match"].share == pytest.approx(2 / 7)
    assert rated["unclear"].right is None


def test_chosen_thresholds_are_right_often_enough_and_hold_on_other_ships() -> None:
    trials = require_trials(embedded_ships(120, noise=0.9, seed=1), per_size=300)
    spec = fit(trials, None, "drawn ships")
    for point in spec.verdicts:
        least = MIN_RIGHT.get(point.verdict, 0.0)
        assert point.right >= least
        assert point.right_low <= point.right <= point.right_high
        assert point.measured_on == "drawn ships"
    assert {point.verdict for point in spec.verdicts} >= {"confident", "likely", "no_match"}
    other = require_trials(embedded_ships(120, noise=0.9, seed=2), per_size=300, seed=1)
    measured = measure_points(other.searches, spec, "other ships")
    assert [(p.verdict, p.gallery_vessels, p.threshold) for p in measured] == [
        (p.verdict, p.gallery_vessels, p.threshold) for p in spec.verdicts
    ]
    tested = [p for p in measured if p.measured_on == "other ships" and p.answers >= 60]
    assert tested
    for point in tested:
        assert point.right > MIN_RIGHT.get(point.verdict, 0.0) - 0.15


def test_the_rate_of_a_point_is_that_of_the_answers_the_service_would_give() -> None:
    trials = require_trials(embedded_ships(60, noise=0.9, seed=1), per_size=200)
    spec = fit(trials, None, "drawn ships")
    size = 50
    searches = trials.searches.of_size(size)
    answers = answers_of(searches, spec.match)
    decided = decide(answers.probability, thresholds_of(spec, size, allow_confident=True))
    for point in spec.verdicts:
        if point.gallery_vessels == size:
            assert sum(v == point.verdict for v in decided.verdicts) == point.answers
