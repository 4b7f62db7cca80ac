"""Each chip asked with its vessel and without: counts, ECE, the worst wrong answer."""

import numpy as np
import pytest

from model_training.calibration.candidate_probabilities import fit_choice
from model_training.calibration.known_and_unknown import measure_known_and_unknown
from model_training.calibration.searches import ask_with_and_without, score_vessels
from model_training.calibration.trials import ACROSS, replay
from service.contract.chip import Modality
from service.contract.weighing.specs import ChoiceSpec
from tests.support.training.training_data import embedded_ships

OVERCONFIDENT = ChoiceSpec(weights={"similarity_z": 60.0}, none_bias=1.0, none_log_gallery=0.0)


def test_each_chip_asks_all_other_vessels_with_its_own_and_without() -> None:
    scores = score_vessels(embedded_ships(12, views=2), Modality.SAR, Modality.OPTICAL)
    searches = ask_with_and_without(scores)
    assert searches.enrolled.sum() == (~searches.enrolled).sum() == 24
    assert set(searches.gallery_vessels[searches.enrolled]) == {12}
    assert set(searches.gallery_vessels[~searches.enrolled]) == {11}
    np.testing.assert_array_equal(searches.correct.any(axis=1), searches.enrolled)


def test_overconfident_weights_show_in_ece_and_in_the_worst_wrong_answer() -> None:
    table = embedded_ships(40, noise=1.5)
    trials = replay(embedded_ships(60, noise=1.5, seed=9), ACROSS, per_size=400)
    assert trials is not None
    fitted = measure_known_and_unknown(table, fit_choice(trials.searches))
    careless = measure_known_and_unknown(table, OVERCONFIDENT)
    assert fitted.first.value < 0.15 < careless.first.value
    assert fitted.highest_wrong < careless.highest_wrong
    assert careless.highest_wrong > 0.95
    assert fitted.ships == 40
    assert fitted.searches == 2 * 2 * 40 * 2  # directions, with and without, ships, views


def test_metrics_name_the_protocol_and_carry_intervals() -> None:
    measured = measure_known_and_unknown(embedded_ships(12), OVERCONFIDENT)
    metrics = {metric.name: metric for metric in measured.metrics("some ships")}
    first = metrics["ECE first candidate (0 to 1)"]
    assert first.value == pytest.approx(measured.first.value)
    assert (first.low, first.high) == measured.first.ends
    worst = metrics["highest probability of a wrong answer (0 to 1)"]
    assert worst.value == pytest.approx(measured.highest_wrong)
    assert {metric.dataset for metric in metrics.values()} == {"some ships"}
