"""Fleets: determinism, sister ships, sizes."""

from dataclasses import replace

import numpy as np
import pytest

from model_training.simulator import SimulatorConfig, VesselModel, sample_fleet, size_twin
from model_training.simulator.ships.catalogue import CATALOGUE, TYPE_WEIGHTS
from model_training.simulator.ships.structure import build_structure, draw_blueprint

CONFIG = SimulatorConfig()


@pytest.fixture(scope="module")
def fleet() -> list[VesselModel]:
    return sample_fleet(1200, 3, CONFIG)


def test_a_vessel_depends_on_seed_and_index_alone(fleet: list[VesselModel]) -> None:
    assert sample_fleet(37, 3, CONFIG) == fleet[:37]
    assert sample_fleet(37, 4, CONFIG) != fleet[:37]


def test_a_fleet_has_every_type_and_plausible_sizes(fleet: list[VesselModel]) -> None:
    assert {v.vessel_type for v in fleet} == set(CATALOGUE)
    assert sum(TYPE_WEIGHTS) == pytest.approx(1.0)
    lengths = np.array([v.length_m for v in fleet])
    slender = lengths / [v.beam_m for v in fleet]
    assert 19 < lengths.min() < 45
    assert 330 < lengths.max() < 410
    assert 165 < lengths.mean() < 200
    assert 2.5 < slender.min() < slender.max() < 9


def test_sisters_share_class_and_size_but_not_details(fleet: list[VesselModel]) -> None:
    groups: dict[int, list[VesselModel]] = {}
    for vessel in fleet:
        if vessel.sister_group is not None:
            groups.setdefault(vessel.sister_group, []).append(vessel)
    assert len(groups) > 40
    assert {len(g) for g in groups.values()} == {2, 3, 4}
    for first, *others in groups.values():
        for other in others:
            assert first.class_seed == other.class_seed
            assert first.detail_seed != other.detail_seed
            assert (first.length_m, first.beam_m) == (other.length_m, other.beam_m)
            assert first.vessel_type == other.vessel_type
    share = sum(map(len, groups.values())) / len(fleet)
    assert share == pytest.approx(CONFIG.sister_fraction * 0.75, abs=0.06)


def test_a_sister_fraction_of_zero_gives_no_sisters() -> None:
    fleet = sample_fleet(40, 3, SimulatorConfig(sister_fraction=0.0))
    assert all(v.sister_group is None for v in fleet)
    assert len({v.class_seed for v in fleet}) == 40


def test_sisters_have_one_layout_but_different_fittings(fleet: list[VesselModel]) -> None:
    ship = next(v for v in fleet if v.vessel_type == "bulk_carrier")
    sister = replace(ship, index=ship.index + 1, detail_seed=ship.detail_seed + 1)
    twin = size_twin(ship, 0, 1)
    own_plan, sister_plan = draw_blueprint(ship), draw_blueprint(sister)
    assert own_plan.holds == sister_plan.holds
    assert own_plan.parts != sister_plan.parts
    layouts = [build_structure(v, 32).layout for v in (ship, sister, twin)]
    to_sister, to_twin = (float(np.abs(layouts[0] - other).mean()) for other in layouts[1:])
    assert 0 < to_sister < 0.5 * to_twin


def test_size_twins_are_equally_long_but_not_sisters(fleet: list[VesselModel]) -> None:
    for vessel in fleet[:20]:
        twin = size_twin(vessel, 5, 1)
        assert twin.length_m == pytest.approx(vessel.length_m, rel=0.016)
        assert twin.class_seed != vessel.class_seed
        assert twin.sister_group is None
        assert twin == size_twin(vessel, 5, 1)


def test_unknown_settings_and_impossible_values_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"speckel\s+Extra inputs are not permitted"):
        SimulatorConfig.model_validate({"speckel": 1})
    with pytest.raises(ValueError, match=r"haze_probability\s+Input should be less than or equal"):
        SimulatorConfig(haze_probability=2.0)
    with pytest.raises(ValueError, match="low <= high"):
        SimulatorConfig(incidence_deg=(40.0, 20.0))
    with pytest.raises(ValueError, match=r"vessels\s+Input should be greater"):
        SimulatorConfig(vessels=0)
    with pytest.raises(ValueError, match="leave ids for training"):
        SimulatorConfig(validation_fraction=0.5, test_fraction=0.5)
    with pytest.raises(ValueError, match=r"sar_gsd_m\s+Input should be less than or equal to 5"):
        SimulatorConfig(sar_gsd_m=30.0)
    changed = SimulatorConfig(seed=9, incidence_deg=(25.0, 30.0))
    assert SimulatorConfig.model_validate(changed.model_dump(mode="json")) == changed
