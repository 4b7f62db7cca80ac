"""The table of open sightings agrees with the sightings that it was given."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.filled_gallery import like_embeddings
from service.contract.chip import Modality
from service.storage.edge.tables import bounded_search, sketched_vectors
from service.storage.edge.tables.open_table import OpenTable
from service.storage.edge.tables.rows import largest
from service.storage.edge.tables.sketched_vectors import SketchedVectors
from service.storage.points import payloads
from tests.unit.storage.edge.tables.test_sighting_table import WIDTH, unit_vectors


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketched_vectors, "SKETCHED_ROWS", 32)
    monkeypatch.setattr(bounded_search, "SAMPLE", 100)


@pytest.mark.parametrize("compared", [False, True])
def test_after_any_changes_searches_are_those_of_a_list(tmp_path: Path, compared: bool) -> None:
    """Insert, replace, mark, give away and delete at random."""
    dice = np.random.default_rng(5)
    table, kept = OpenTable(tmp_path / "vectors", WIDTH), dict[UUID, tuple[Any, Modality, bool]]()
    known = [uuid4() for _ in range(400)]
    for vector in unit_vectors(1200):
        sighting, modality = known[dice.integers(len(known))], [*Modality][dice.integers(2)]
        match dice.integers(4):
            case 0:
                table.delete([sighting, uuid4()])
                kept.pop(sighting, None)
            case 1 if sighting in kept:
                table.mark_compared([sighting, uuid4()], not kept[sighting][2])
                kept[sighting] = (*kept[sighting][:2], not kept[sighting][2])
            case 2 if sighting in kept:
                table.put([(sighting, vector, {payloads.VESSEL_ID: str(uuid4())})])
                del kept[sighting]
            case _:
                mark = payloads.uncompared_payload(None)
                table.put([(sighting, vector, {payloads.MODALITY: modality.value} | mark)])
                kept[sighting] = vector, modality, False
    assert len(table) == len(kept) > 100
    saved = table.columns()
    table = OpenTable(tmp_path / "vectors", WIDTH, saved)
    [query] = unit_vectors(1, seed=9)
    for modality in Modality:
        passing = {
            i: float(vector @ query)
            for i, (vector, kind, done) in kept.items()
            if kind is modality and done >= compared
        }
        expected = sorted(passing.items(), key=lambda one: -one[1])[:7]
        found = table.nearest(query, modality, 7, compared)
        assert [*found] == [i for i, _ in expected]
        assert [*found.values()] == pytest.approx([value for _, value in expected], abs=1e-6)


def test_few_embeddings_are_compared_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, rows = OpenTable(tmp_path / "vectors", 128), 4000
    row = {payloads.MODALITY: "sar"}
    vectors = like_embeddings(rows, 128, 0)
    table.put([(UUID(int=n), vectors[n], row) for n in range(rows)], new=True)
    compared = []

    def count(self: SketchedVectors, rows: NDArray[np.intp], query: NDArray[np.float32]) -> object:
        compared.append(len(rows))
        return products_of(self, rows, query)

    products_of = SketchedVectors.products_of
    monkeypatch.setattr(SketchedVectors, "products_of", count)
    for query in like_embeddings(10, 128, 1):
        table.nearest(query, Modality.SAR, 10, False)
    assert 0 < sum(compared) < 10 * rows / 10


def test_the_largest_values_come_first_and_of_equal_ones_the_first() -> None:
    values = np.array([0.5, -np.inf, 0.9, 0.5, 0.5, -1.0], np.float32)
    assert [*largest(values, 3)] == [2, 0, 3]
    assert [*largest(values, 10)] == [2, 0, 3, 4, 5]
    assert [*largest(values, 0)] == [*largest(values[:0], 3)] == []
