"""A fleet that grows while it is learnt from."""

from pathlib import Path

import numpy as np
import pytest

from model_training.data import growing
from model_training.data.cache import CachedChip, StoreError, write_shard
from model_training.data.growing import FleetGrowth, render_beside
from model_training.data.simulated import FleetConfig
from service.contract.chip import Modality


@pytest.fixture
def fleet(tmp_path: Path) -> FleetConfig:
    return FleetConfig(
        folder=tmp_path,
        seed=1,
        validation_seed=2,
        vessels=6000,
        initial_vessels=1000,
        growth_steps=100,
    )


def write(fleet: FleetConfig, shards: range) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    for number in shards:
        write_shard(fleet.folder / "train", number, [CachedChip(picture, Modality.SAR, 1, number)])


def test_ships_come_into_use_with_the_steps(fleet: FleetConfig) -> None:
    growth = FleetGrowth(fleet)
    assert [growth.shards(step) for step in (0, 19, 20, 50, 99, 100, 5000)] == [
        *(10, 10, 20, 30, 50, 60, 60)
    ]


def test_a_step_sees_the_same_ships_whatever_else_is_rendered(fleet: FleetConfig) -> None:
    write(fleet, range(25))
    growth = FleetGrowth(fleet)
    assert growth.store(0).vessels.tolist() == list(range(10))
    assert growth.store(0) is growth.store(10)
    assert growth.store(20).vessels.tolist() == list(range(20))


def test_ships_that_never_come_are_an_error(
    fleet: FleetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "WAIT_S", 0.0)
    write(fleet, range(9))
    with pytest.raises(StoreError, match="lacks 1 shards"):
        FleetGrowth(fleet).store(0)


def test_a_complete_fleet_needs_no_renderer(fleet: FleetConfig) -> None:
    write(fleet, range(60))
    assert render_beside(fleet, 5.0) is None


def test_a_fleet_cannot_begin_with_more_ships_than_it_has(fleet: FleetConfig) -> None:
    settings = fleet.model_dump() | {"initial_vessels": 7000}
    with pytest.raises(ValueError, match="initial_vessels exceeds vessels"):
        FleetConfig.model_validate(settings)
