"""Registers and voyages drawn for searches, the ratios fitted on them, and their errors."""

import numpy as np
import pytest

from model_training.calibration.calibrate import require_trials
from model_training.calibration.candidate_probabilities import fit_choice
from model_training.calibration.context import (
    combined_probabilities,
    fit_context,
    log_ratios,
    measure_combined,
    ratio_table,
)
from model_training.calibration.searches import Searches
from model_training.calibration.several_chips import join_chips, replay_several
from model_training.calibration.simulated_context import WRONG_GSD, draw_context
from service.contract.chip import Modality
from service.contract.weighing.context import Facts, Voyage, context_terms
from service.contract.weighing.specs import ChoiceSpec, ContextSpec
from tests.support.training.training_data import embedded_ships


@pytest.fixture(scope="module")
def searches() -> Searches:
    return require_trials(embedded_ships(100, noise=0.9, seed=1), per_size=300).searches


@pytest.fixture(scope="module")
def fitted(searches: Searches) -> tuple[ChoiceSpec, ContextSpec]:
    match = fit_choice(searches)
    return match, fit_context(searches, match, "drawn ships")


def test_a_ratio_table_by_hand() -> None:
    own, other = np.repeat([0.0, 1.0], [30, 10]), np.repeat([0.0, 1.0], [10, 30])
    table = ratio_table(own, other, (0.0, 1.0), own_total=40, other_total=40)
    expected = np.log(30.5 / 10.5)
    np.testing.assert_allclose(table.log_ratio, [expected, -expected])
    rising = ratio_table(other, own, (0.0, 1.0), own_total=40, other_total=40)
    np.testing.assert_allclose(rising.log_ratio, [0.0, 0.0])
    halved = ratio_table(own, other, (0.0, 1.0), own_total=40, other_total=80)
    np.testing.assert_allclose(halved.log_ratio[0], expected + np.log(81 / 41))


def test_drawn_facts_favour_the_ship_itself(searches: Searches) -> None:
    context = draw_context(searches)
    own = searches.correct & searches.present
    other = searches.present & ~searches.correct
    for values in (context.register_length, context.speed_ratio):
        assert np.nanmedian(values[own]) < np.nanmedian(values[other])
    assert np.nanmean(context.type_agrees[own]) > np.nanmean(context.type_agrees[other])
    assert context.impossible[other].mean() > 5 * context.impossible[own].mean()
    changed = (context.searches.evidence != searches.evidence).any(axis=(1, 2))
    moved = np.abs(context.searches.evidence - searches.evidence)[..., 2].max(axis=1) > 1e-9
    assert moved.mean() == pytest.approx(WRONG_GSD, abs=0.02)
    assert changed.any()


def test_fitted_ratios_fall_with_distance(fitted: tuple[ChoiceSpec, ContextSpec]) -> None:
    _, spec = fitted
    tables = [spec.register_length, spec.register_width, *(part.table for part in spec.voyage)]
    for table in tables:
        assert (np.diff(table.log_ratio) <= 1e-12).all()
    assert spec.register_length.log_ratio[0] > 0 > spec.register_length.log_ratio[-1]
    assert spec.type_agrees > spec.type_differs
    assert spec.fitted_on == "drawn ships, simulated registers and voyages"


def test_combined_evidence_is_calibrated_on_other_ships_and_says_more(
    fitted: tuple[ChoiceSpec, ContextSpec], searches: Searches
) -> None:
    match, spec = fitted
    other = require_trials(embedded_ships(100, noise=0.9, seed=2), per_size=300, seed=1).searches
    report = measure_combined(other, match, spec, seed=5)
    assert report.first_candidate.ece.value < 0.05
    assert report.none.ece.value < 0.05
    probability, context = combined_probabilities(other, match, spec, seed=5)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    nothing = spec.model_copy(
        update={
            "type_agrees": 0.0,
            "type_differs": 0.0,
            "voyage": (),
            "register_length": spec.register_length.model_copy(
                update={"log_ratio": (0.0,) * len(spec.register_length.at)}
            ),
            "register_width": spec.register_width.model_copy(
                update={"log_ratio": (0.0,) * len(spec.register_width.at)}
            ),
        }
    )
    without, _ = combined_probabilities(other, match, nothing, seed=5)
    correct = context.searches.correct
    assert probability[:, 1:][correct].mean() > without[:, 1:][correct].mean()


def test_training_and_service_weigh_the_same(
    fitted: tuple[ChoiceSpec, ContextSpec], searches: Searches
) -> None:
    _, spec = fitted
    context = draw_context(searches, seed=3)
    terms = log_ratios(context, spec)
    for row, column in [(0, 0), (1, 1), (5, 0), (200, 1), (900, 0)]:
        hours = context.hours[row, column]
        facts = Facts(
            register_length_ratio=known_exp(context.register_length[row, column]),
            register_width_ratio=known_exp(context.register_width[row, column]),
            type_agrees=known_bool(context.type_agrees[row, column]),
            voyage=None
            if np.isnan(hours)
            else Voyage(13.0 * context.speed_ratio[row, column], hours, 13.0, possible=True),
        )
        [expected] = context_terms([facts], spec)
        if context.impossible[row, column]:
            expected.pop("voyage")
        for name, values in terms.items():
            assert values[row, column] == pytest.approx(expected.get(name, 0.0)), name


def known_exp(log_ratio: float) -> float | None:
    return None if np.isnan(log_ratio) else float(np.exp(log_ratio))


def known_bool(value: float) -> bool | None:
    return None if np.isnan(value) else bool(value)


def test_two_chips_of_a_ship_are_joined_into_their_mean() -> None:
    table = embedded_ships(3, views=3)
    joined = join_chips(table, Modality.SAR)
    assert joined is not None
    assert joined.rows_with(Modality.SAR).tolist() == [0, 1, 2]
    sar = table.rows_with(Modality.SAR)
    rows = sar[table.vessel_ids[sar] == 2]
    mean = table.embeddings.plain[rows[:2]].mean(axis=0)
    np.testing.assert_allclose(joined.embeddings.plain[1], mean / np.linalg.norm(mean), rtol=1e-5)
    np.testing.assert_allclose(
        joined.size_m[1], np.sqrt(np.prod(table.size_m[rows[:2]], axis=0)), rtol=1e-9
    )
    assert join_chips(embedded_ships(3, views=1), Modality.SAR) is None


def test_two_chips_find_their_ship_more_often_than_one() -> None:
    table = embedded_ships(80, noise=1.6)
    one = require_trials(table, per_size=200).searches
    two = replay_several(table, per_size=200)
    assert two is not None

    def found_first(part: Searches) -> float:
        enrolled = part.where(part.enrolled & (part.gallery_vessels == 50))
        return float(enrolled.correct[:, 0].mean())

    assert found_first(two) > found_first(one) + 0.05
    assert replay_several(embedded_ships(80, views=1)) is None
