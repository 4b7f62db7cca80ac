"""Chips of one image answered alone and together, on drawn ships."""

import numpy as np
import pytest

from model_training.calibration.calibrate import require_trials
from model_training.calibration.candidate_probabilities import fit_choice
from model_training.studies.scenes import SceneReport, measure_scenes
from service.contract.weighing.specs import ChoiceSpec
from tests.support.training.training_data import embedded_ships


@pytest.fixture(scope="module")
def match() -> ChoiceSpec:
    return fit_choice(require_trials(embedded_ships(100, noise=1.2, seed=1), per_size=200).searches)


@pytest.fixture(scope="module")
def report(match: ChoiceSpec) -> SceneReport:
    return measure_scenes(embedded_ships(60, noise=1.2, seed=2), match, 60, 20, 25)


def test_the_joint_probabilities_are_about_as_well_calibrated(report: SceneReport) -> None:
    for name in ("first_candidate", "none"):
        together, alone = (getattr(way, name).ece.value for way in (report.together, report.alone))
        assert together < alone + 0.03


def test_asking_together_finds_more_ships_where_most_are_enrolled(match: ChoiceSpec) -> None:
    ships = embedded_ships(60, noise=1.2, seed=2)
    report = measure_scenes(ships, match, 60, 20, 25, enrolled_share=1.0)
    assert report.gain.value > 1.0
    difference = report.together.first.value - report.alone.first.value
    assert difference == pytest.approx(report.gain.value)


def test_a_report_becomes_json_values(report: SceneReport) -> None:
    document = report.document()
    assert document["chips"] == 20
    assert document["gain_R1"]["value"] == report.gain.value
    assert document["alone"]["ece_none"]["value"] == report.alone.none.ece.value


def test_look_alikes_of_an_anchorage_are_told_apart_together(match: ChoiceSpec) -> None:
    ships = embedded_ships(200, noise=1.2, seed=2)
    report = measure_scenes(ships, match, 60, 12, 1, enrolled_share=1.0, anchorages={})
    assert (report.chips, report.gallery) == (12, 16)
    low, _ = report.gain.ends
    assert low > 0.0


def test_an_anchorage_holds_ships_of_one_type(match: ChoiceSpec) -> None:
    ships = embedded_ships(200, seed=2)
    tankers = {ship: "tanker" if ship % 4 else "ferry" for ship in range(1, 201)}
    mixed = measure_scenes(ships, match, 40, 12, 1, 1.0, anchorages={})
    alike = measure_scenes(ships, match, 40, 12, 1, 1.0, anchorages=tankers)
    assert mixed.ships > alike.ships
    ferries = {ship: f"ferry {ship}" for ship in range(1, 201)}
    with pytest.raises(ValueError, match="no 16 ships of one type"):
        measure_scenes(ships, match, 40, 12, 1, anchorages=ferries)


def test_scenes_of_few_ships_draw_what_there_is(match: ChoiceSpec) -> None:
    few = measure_scenes(embedded_ships(4, seed=3), match, 5, 50, 500)
    assert (few.chips, few.ships) == (4, 4)
    assert 1 <= few.gallery <= 4
    assert np.isfinite(few.together.first.value)
    with pytest.raises(ValueError, match="at least two ships"):
        measure_scenes(embedded_ships(1, seed=3), match, 5, 50, 500)
