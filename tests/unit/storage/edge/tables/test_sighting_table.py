"""The table of sightings in memory agrees with the sightings that it was given."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from service.identity.records.sightings import GalleryCounts
from service.identity.records.vessels import VesselState
from service.storage.edge.tables import sketched_vectors
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.edge.tables.sketched_vectors import SKETCHED_ROWS
from service.storage.points import payloads
from service.storage.points.filters import AnyOf, Clause, NoneOf

WIDTH = 512


def unit_vectors(count: int, width: int = WIDTH, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize("sketched_rows", [SKETCHED_ROWS, 64])
def test_after_any_changes_searches_are_those_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sketched_rows: int
) -> None:
    """Insert, replace, move and delete at random, and compare with a search of a plain list."""
    monkeypatch.setattr(sketched_vectors, "SKETCHED_ROWS", sketched_rows)
    dice = np.random.default_rng(3)
    vessels = [uuid4() for _ in range(30)]
    table, kept = (
        SightingTable(tmp_path / "vectors", WIDTH),
        dict[UUID, tuple[NDArray[np.float32], dict[str, Any]]](),
    )
    hidden = set(vessels[::5])
    for vessel in vessels:
        state = VesselState.DELETED if vessel in hidden else VesselState.ACTIVE
        table.put_vessel(vessel, state)
    known = [uuid4() for _ in range(1500)]
    for vector in unit_vectors(3000):
        sighting = known[dice.integers(len(known))]
        if dice.random() < 0.3:
            table.delete_sightings([sighting])
            kept.pop(sighting, None)
            continue
        owner = None if dice.random() < 0.2 else vessels[dice.integers(len(vessels))]
        row = {
            payloads.VESSEL_ID: None if owner is None else str(owner),
            payloads.MODALITY: ("sar", "optical")[dice.integers(2)],
            payloads.CHIP: sighting.hex * 2,
        }
        table.put_sightings([(sighting, vector, row)])
        kept.pop(sighting, None)
        if owner is not None:
            kept[sighting] = vector, row
    assert 0 < len(kept) < len(known)
    shown = {i: one for i, one in kept.items() if UUID(one[1][payloads.VESSEL_ID]) not in hidden}
    assert table.counts() == GalleryCounts(len(vessels) - len(hidden), len(shown))
    left_out = next(iter(shown))
    clauses: list[Clause] = [
        AnyOf(payloads.MODALITY, ["sar"]),
        NoneOf(payloads.CHIP, [left_out.hex * 2]),
    ]
    [query] = unit_vectors(1, seed=9)
    expected: dict[bytes, list[tuple[float, bytes]]] = {}
    for sighting, (vector, row) in shown.items():
        if row[payloads.MODALITY] == "sar" and sighting != left_out:
            owned = expected.setdefault(UUID(row[payloads.VESSEL_ID]).bytes, [])
            owned.append((float(vector @ query), sighting.bytes))
    ranked = sorted(expected.items(), key=lambda one: -max(one[1])[0])[:10]
    [found] = table.nearest([query], [table.passing(clauses)], 10)
    best = [(vessel, one) for vessel, owned in ranked for one in sorted(owned, reverse=True)[:3]]
    assert table.vessel_ids(found.vessels) == [vessel for vessel, _ in best]
    assert table.ids(found.rows) == [sighting for _, (_, sighting) in best]
    assert found.similarity == pytest.approx([near for _, (near, _) in best], abs=1e-5)
