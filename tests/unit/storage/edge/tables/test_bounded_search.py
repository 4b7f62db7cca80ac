"""Searches by bounds find what a comparison with every sighting finds."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.filled_gallery import like_embeddings
from service.identity.records.vessels import VesselState
from service.storage.edge.tables import bounded_search, sketched_vectors
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.edge.tables.sketched_vectors import SketchedVectors
from service.storage.points import payloads
from service.storage.points.filters import AnyOf, BetweenOrUnknown, Clause, NoneOf
from tests.unit.storage.edge.tables.test_sketched_vectors import evenly_spread

SIGHTINGS, EACH, WIDTH, BLOCK = 12_000, 5, 128, 1000
VESSELS = SIGHTINGS // EACH
QUERIES = 20
SENSORS = ("optical", "sar")


def owner_of(row: int) -> int:
    """Return the vessel of a sighting; those of a vessel are far apart in the table."""
    return row % VESSELS


def type_of(vessel: int) -> str:
    return "rare" if vessel % 400 == 0 else ("tanker", "cargo")[vessel % 2]


class Filled:
    """A table, and the same sightings as a list."""

    def __init__(self, folder: Path, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors
        self.table = SightingTable(folder / "vectors", WIDTH)
        for number in range(VESSELS):
            hidden = number % 11 == 0
            state = VesselState.DELETED if hidden else VesselState.ACTIVE
            self.table.put_vessel(UUID(int=number), state)
        rows = [
            {
                payloads.VESSEL_ID: str(UUID(int=owner_of(row))),
                payloads.MODALITY: SENSORS[row // VESSELS % 2],
                payloads.CHIP: f"{row:064x}",
                payloads.VESSEL_TYPE: type_of(owner_of(row)),
                payloads.VESSEL_LENGTH_M: float(owner_of(row)),
            }
            for row in range(SIGHTINGS)
        ]
        ids = [UUID(int=row) for row in range(SIGHTINGS)]
        self.table.put_sightings(list(zip(ids, vectors, rows, strict=True)), new=True)

    def expected(
        self, query: NDArray[np.float32], passes: Callable[[int], bool], vessels: int, each: int
    ) -> list[tuple[bytes, list[tuple[bytes, float]]]]:
        found: dict[int, list[tuple[float, int]]] = {}
        for row, similarity in enumerate((self.vectors @ query).tolist()):
            if passes(row) and owner_of(row) % 11:
                found.setdefault(owner_of(row), []).append((similarity, row))
        ranked = sorted(found.items(), key=lambda one: -max(one[1])[0])[:vessels]
        return [
            (
                UUID(int=vessel).bytes,
                [(UUID(int=row).bytes, near) for near, row in sorted(own, reverse=True)[:each]],
            )
            for vessel, own in ranked
        ]


FILTERS: dict[str, tuple[list[Clause], Callable[[int], bool]]] = {
    "everything": ([], lambda row: True),
    "a sensor": ([AnyOf(payloads.MODALITY, ["sar"])], lambda row: row // VESSELS % 2 == 1),
    "few vessels": (
        [AnyOf(payloads.VESSEL_TYPE, ["rare"])],
        lambda row: type_of(owner_of(row)) == "rare",
    ),
    "a length and a sensor": (
        [
            AnyOf(payloads.MODALITY, ["optical"]),
            BetweenOrUnknown(payloads.VESSEL_LENGTH_M, 500.0, 620.0),
        ],
        lambda row: row // VESSELS % 2 == 0 and 500 <= owner_of(row) <= 620,
    ),
    "other chips": (
        [NoneOf(payloads.CHIP, [f"{row:064x}" for row in range(2000)])],
        lambda row: row >= 2000,
    ),
    "nothing": ([AnyOf(payloads.VESSEL_TYPE, ["ferry"])], lambda row: False),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketched_vectors, "SKETCHED_ROWS", BLOCK)
    monkeypatch.setattr(bounded_search, "SAMPLE", 500)


@pytest.mark.parametrize("vectors_of", [evenly_spread, like_embeddings])
def test_searches_are_those_of_a_list(
    tmp_path: Path, vectors_of: Callable[[int, int, int], NDArray[np.float32]]
) -> None:
    filled = Filled(tmp_path, vectors_of(SIGHTINGS, WIDTH, 0))
    queries = [*vectors_of(3, WIDTH, 1), filled.vectors[4321]]
    for clauses, passes in FILTERS.values():
        passing = [filled.table.passing(clauses) for _ in queries]
        answers = filled.table.nearest(queries, passing, 10)
        for query, answer in zip(queries, answers, strict=True):
            expected = filled.expected(query, passes, 10, 3)
            best = [(vessel, one) for vessel, own in expected for one in own]
            assert filled.table.vessel_ids(answer.vessels) == [vessel for vessel, _ in best]
            assert filled.table.ids(answer.rows) == [sighting for _, (sighting, _) in best]
            assert answer.similarity == pytest.approx([near for _, (_, near) in best], abs=1e-5)


def test_few_embeddings_are_compared_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = Filled(tmp_path, like_embeddings(SIGHTINGS, WIDTH, 0))
    compared = []

    def count(self: SketchedVectors, rows: NDArray[np.intp], query: NDArray[np.float32]) -> object:
        compared.append(len(rows))
        return products_of(self, rows, query)

    products_of = SketchedVectors.products_of
    monkeypatch.setattr(SketchedVectors, "products_of", count)
    queries = list(like_embeddings(QUERIES, WIDTH, 1))
    filled.table.nearest(queries, [filled.table.passing([])] * QUERIES, 10)
    assert sum(compared) < QUERIES * SIGHTINGS / 20
