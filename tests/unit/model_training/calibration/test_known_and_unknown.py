"""Each chip asked with its vessel and without: counts, ECE, the worst wrong answer."""

from dataclasses import replace

import numpy as np
import pytest

from model_training.calibration.candidate_probabilities import fit_choice
from model_training.calibration.known_and_unknown import measure_known_and_unknown
from model_training.calibration.searches import ask_with_and_without, score_vessels
from model_training.calibration.trials import ACROSS, replay
from service.contract.chip import Modality
from service.contract.weighing.specs import BothWaysSpec, CalibrationSpec, ChoiceSpec, LogisticSpec
from tests.support.training.training_data import embedded_ships

OVERCONFIDENT = ChoiceSpec(weights={"similarity_z": 60.0}, none_bias=1.0, none_log_gallery=0.0)


def calibration(match: ChoiceSpec, bow_preference: float | None = None) -> CalibrationSpec:
    spec = CalibrationSpec(
        match=match,
        verify=LogisticSpec(bias=0.0, weights={}),
        match_same_sensor=None,
        verify_same_sensor=None,
        confident_from=1.0,
        fitted_on="drawn ships",
    )
    if bow_preference is None:
        return spec
    ways = BothWaysSpec(calibration=spec, certainty_slope=10.0, bow_preference=bow_preference)
    return spec.model_copy(update={"both_ways": ways})


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
    fitted = measure_known_and_unknown(table, calibration(fit_choice(trials.searches)))
    careless = measure_known_and_unknown(table, calibration(OVERCONFIDENT))
    assert fitted.first.value < 0.15 < careless.first.value
    assert fitted.highest_wrong < careless.highest_wrong
    assert careless.highest_wrong > 0.95
    assert fitted.ships == 40
    assert fitted.searches == 2 * 2 * 40 * 2  # directions, with and without, ships, views


def test_chips_that_lie_the_other_way_are_found_by_a_bundle_with_a_bow_preference() -> None:
    table = embedded_ships(40, noise=0.3, views=1)
    sar = table.rows_with(Modality.SAR)
    plain = table.embeddings.plain.copy()
    turned = np.roll(plain, 7, axis=1)  # resembles no ship
    plain[sar], turned[sar] = turned[sar], plain[sar]
    table = replace(table, embeddings=replace(table.embeddings, plain=plain), half_turned=turned)
    weights = ChoiceSpec(weights={"similarity": 20.0}, none_bias=0.0, none_log_gallery=0.0)
    one_way = measure_known_and_unknown(table, calibration(weights))
    as_served = measure_known_and_unknown(table, calibration(weights, bow_preference=0.1))
    # Optical queries meet turned SAR chips: their own half turns do not help them.
    assert one_way.first_right < 0.3
    assert as_served.first_right > 0.45


def test_metrics_name_the_protocol_and_carry_intervals() -> None:
    measured = measure_known_and_unknown(embedded_ships(12), calibration(OVERCONFIDENT))
    metrics = {metric.name: metric for metric in measured.metrics("some ships")}
    first = metrics["ECE first candidate (0 to 1)"]
    assert first.value == pytest.approx(measured.first.value)
    assert (first.low, first.high) == measured.first.ends
    worst = metrics["highest probability of a wrong answer (0 to 1)"]
    assert worst.value == pytest.approx(measured.highest_wrong)
    assert {metric.dataset for metric in metrics.values()} == {"some ships"}
