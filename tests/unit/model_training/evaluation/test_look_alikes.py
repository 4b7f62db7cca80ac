"""Galleries of look-alikes: who stands in them, and what they say of a model."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.data.hoss import LabelledChip
from model_training.embedding.chip_table import ChipTable, Embeddings
from model_training.evaluation.look_alikes import (
    KnownShip,
    LookAlikeError,
    look_alike_metrics,
    look_alikes,
    read_vessels,
)
from service.contract.chip import Modality

SHIPS = 24


def table_of(directions: NDArray[np.float64], lengths: NDArray[np.float64]) -> ChipTable:
    """Two chips of each sensor for every ship, `directions` `[ships, 2, D]` by sensor."""
    chips, vectors, sizes = [], [], []
    for ship in range(len(directions)):
        for sensor, modality in enumerate(Modality):
            for view in range(2):
                path = Path(f"{ship:04d}_{view}_{modality.value}.tif")
                chips.append(LabelledChip(vessel_id=ship, modality=modality, path=path))
                vectors.append(directions[ship, sensor])
                sizes.append((lengths[ship], 30.0))
    rows = np.array(vectors, np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return ChipTable(tuple(chips), Embeddings(unit), np.array(sizes, np.float64))


def perfect() -> NDArray[np.float64]:
    return np.repeat(np.eye(SHIPS)[:, None], 2, axis=1)


def test_a_model_that_knows_each_ship_is_always_right() -> None:
    known = {ship: KnownShip("tanker", 200.0) for ship in range(SHIPS)}
    results = look_alikes(table_of(perfect(), np.full(SHIPS, 200.0)), known, galleries=20)
    assert set(results) == {"O2O", "S2O", "O2S"}
    for result in results.values():
        assert (result.mean_ap.value, result.first.value) == (100.0, 100.0)
        assert (result.ships, result.gallery) == (SHIPS, SHIPS)
        assert result.size_only_ap.value == pytest.approx(100 / ((SHIPS + 1) / 2))


def test_a_model_that_knows_the_class_alone_is_no_better_than_chance() -> None:
    kinds = np.arange(SHIPS) % 2
    directions = np.repeat(np.eye(2)[kinds][:, None], 2, axis=1)
    known = {ship: KnownShip(f"type {kinds[ship]}", 200.0) for ship in range(SHIPS)}
    table = table_of(directions, np.full(SHIPS, 200.0))
    apart = look_alikes(table, known, galleries=20)["S2O"]
    assert apart.first.value == 0.0
    assert apart.gallery == SHIPS / 2


def test_only_ships_of_similar_length_and_of_the_asked_types_meet() -> None:
    lengths = np.where(np.arange(SHIPS) < 18, 200.0, 100.0)
    known = {
        ship: KnownShip("tanker" if ship < 12 else "tug", float(lengths[ship]))
        for ship in range(SHIPS)
    }
    table = table_of(perfect(), lengths)
    assert look_alikes(table, known, galleries=40, types=["tanker"])["S2O"].ships == 12
    tugs = look_alikes(table, known, galleries=40, types=["tug"])["S2O"]
    assert tugs.gallery == 6.0
    with pytest.raises(LookAlikeError):
        look_alikes(table, known, types=["ferry"])


def test_unknown_ships_are_told_apart_by_their_chips_length() -> None:
    lengths = np.where(np.arange(SHIPS) < 18, 200.0, 100.0)
    results = look_alikes(table_of(perfect(), lengths), {}, galleries=40)
    assert {result.size_only_ap.value < 40 for result in results.values()} == {True}


def test_equal_seeds_give_equal_results_and_metrics_name_the_yardstick() -> None:
    drawn = np.random.default_rng(0).normal(size=(SHIPS, 2, 8))
    table = table_of(drawn, np.full(SHIPS, 200.0))
    first, again = (look_alikes(table, {}, galleries=10, seed=3) for _ in range(2))
    assert first == again
    metrics = look_alike_metrics(first, "toy")
    assert {metric.name for metric in metrics} == {
        "look-alikes mAP",
        "look-alikes R1",
        "look-alikes mAP size only",
    }
    assert {metric.gallery for metric in metrics} == {SHIPS}
    assert first["S2O"].document()["mAP"] == first["S2O"].mean_ap.value


def test_types_stand_beside_the_set_or_beside_its_parent(tmp_path: Path) -> None:
    part = tmp_path / "val"
    part.mkdir()
    assert read_vessels(part) == {}
    (tmp_path / "vessels.csv").write_text("id,type,length_m,beam_m\n0007,tug,31.5,9.0\n")
    assert read_vessels(part) == read_vessels(tmp_path) == {7: KnownShip("tug", 31.5)}
