"""The simulated fleet as a store: deterministic, resumable, bow down for training."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from model_training.data import simulated
from model_training.data.cache import StoreError, shard_numbers
from model_training.data.simulated import FleetConfig, prepare_fleet
from model_training.simulator import SimulatorConfig, render_view
from model_training.simulator.ships.vessel import sample_vessel
from model_training.simulator.truth import layout_in_crop
from service.contract.chip import Chip
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import to_picture

SPEC = PreprocessSpec()


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetConfig:
    """Shards of three ships, rendered in this process."""
    monkeypatch.setattr(simulated, "SHARD_VESSELS", 3)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: InProcess)
    return FleetConfig.model_construct(
        folder=tmp_path / "fleet",
        seed=5,
        validation_seed=8,
        vessels=6,
        validation_vessels=3,
        optical_views=1,
        sar_views=1,
        simulator={"bow_flip_probability": 0.5},
        processes=None,
    )


class InProcess:
    """A pool that runs in this process, so that the patched shard size applies."""

    def __init__(self, processes: int | None) -> None: ...

    Pool = classmethod(lambda cls, processes: cls(processes))

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None: ...

    imap_unordered = staticmethod(map)


def test_chips_are_rendered_views_prepared_by_the_serving_code(fleet: FleetConfig) -> None:
    train, validation = prepare_fleet(fleet, SPEC)
    assert (len(train), len(validation)) == (12, 6)
    assert train.layouts is not None
    config = SimulatorConfig.model_validate(fleet.simulator)
    for store, training in ((train, True), (validation, False)):
        for row in range(len(store)):
            modality = store.modality(row)
            vessel = int(store.chips["vessel"][row])
            view = render_view(
                sample_vessel(vessel, 5 if training else 8, config), modality.value, 0, config
            )
            chip = Chip(view.pixels, modality, view.gsd_m, "parameter", "", "0" * 64)
            expected = to_picture(chip, SPEC)
            if training and view.bow_up:
                expected = expected[::-1, ::-1]
            assert np.array_equal(store.picture(row), expected)
            assert store.layouts is not None
            stern_first = view.layout[::-1] if view.bow_up else view.layout
            framed = layout_in_crop(stern_first, config.crop_margin).T
            assert store.layouts[store.vessel_row[row]] == pytest.approx(framed, abs=2e-3)


def test_an_interrupted_fleet_is_completed_to_the_same_chips(fleet: FleetConfig) -> None:
    whole = prepare_fleet(fleet, SPEC)[0].digest()
    (fleet.folder / "train" / "00001.chips.npy").unlink()
    assert shard_numbers(fleet.folder / "train") == [0]
    assert prepare_fleet(fleet, SPEC)[0].digest() == whole


def test_a_fleet_can_grow_without_changing_its_first_ships(fleet: FleetConfig) -> None:
    few = prepare_fleet(fleet.model_copy(update={"vessels": 3}), SPEC)[0]
    more = prepare_fleet(fleet, SPEC)[0]
    assert few.vessels.tolist() == [0, 1, 2]
    assert more.vessels.tolist() == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(few.picture(0), more.picture(0))


def test_validation_ships_are_never_training_ships() -> None:
    with pytest.raises(ValueError, match="validation_seed must differ"):
        FleetConfig(folder=Path("x"), seed=1, validation_seed=1, vessels=100)


def test_a_folder_of_another_fleet_is_refused(fleet: FleetConfig) -> None:
    prepare_fleet(fleet, SPEC)
    other = fleet.model_copy(update={"seed": 6})
    with pytest.raises(StoreError, match="other settings"):
        prepare_fleet(other, SPEC)
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        prepare_fleet(fleet.model_copy(update={"simulator": {"colour": 1}}), SPEC)
