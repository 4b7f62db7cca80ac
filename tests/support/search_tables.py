"""What the search tables of an embedded gallery hold, and what its stores hold."""

from typing import Any
from uuid import UUID

import numpy as np

from service.identity.records.vessels import VesselState
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.tables import open_table, sighting_table
from service.storage.edge.tables.bounded_search import ROUNDING
from service.storage.edge.tables.open_table import OpenTable
from service.storage.edge.tables.rows import IDS
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.points import payloads
from service.storage.points.filters import SIGHTINGS_OF_VESSELS

Facts = dict[UUID, tuple[Any, ...]]


def assert_tables_are_current(gallery: EdgeGallery) -> None:
    """Assert that the tables hold what the stores hold, and that no bound is too low."""
    tables, sightings = gallery._tables, gallery._sightings
    visible = {
        vessel_id
        for vessel_id, row in gallery._vessels.scan()
        if VesselState(row[payloads.STATE]).visible
    }
    enrolled = {
        sighting_id: (
            UUID(row[payloads.VESSEL_ID]),
            row[payloads.MODALITY],
            row.get(payloads.VESSEL_TYPE),
            row.get(payloads.VESSEL_LENGTH_M),
            sighting_table._chip_key(row[payloads.CHIP]).tolist(),
            vector.tobytes(),
        )
        for sighting_id, vector, row in sightings.shard.scan_with_vectors(SIGHTINGS_OF_VESSELS)
    }
    waiting = {
        sighting_id: (open_table._kind(row), vector.tobytes())
        for sighting_id, vector, row in sightings.open_points.scan_with_vectors()
    }
    assert _visible(tables.enrolled) == visible
    assert _enrolled(tables.enrolled) == enrolled
    assert _open(tables.open) == waiting
    for table in (tables.enrolled, tables.open):
        table.check()
        _assert_bounded(table)


def _visible(table: SightingTable) -> set[UUID]:
    return {one for one, seen in zip(table._vessels, table._visible, strict=False) if seen}


def _enrolled(table: SightingTable) -> Facts:
    words: dict[int, str | None] = {0: None} | {n: word for word, n in table._words.items()}
    rows, found = table._rows, Facts()
    for row, sighting_id in enumerate(_ids(table)):
        length = float(rows["lengths_m"][row])
        found[sighting_id] = (
            table._vessels[rows["vessels"][row]],
            words[int(rows["modalities"][row])],
            words[int(rows["types"][row])],
            None if np.isnan(length) else length,
            rows["chips"][row].tolist(),
            table._vectors._vectors[row].tobytes(),
        )
    return found


def _open(table: OpenTable) -> Facts:
    kinds, vectors = table._rows["kinds"], table._vectors._vectors
    return {
        sighting_id: (int(kinds[row]), vectors[row].tobytes())
        for row, sighting_id in enumerate(_ids(table))
    }


def _ids(table: SightingTable | OpenTable) -> list[UUID]:
    ids = table._rows[IDS].tobytes()
    found = [UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16)]
    assert len({*found}) == len(found)
    return found


def _assert_bounded(table: SightingTable | OpenTable) -> None:
    """Assert that no sketch says less of a sighting than its embedding."""
    count = len(table)
    queries = table._vectors._vectors[: min(count, 20)].copy()
    if count:
        products = table._vectors.products(queries, count)
        assert (table._vectors.bounds(queries, count) >= products - ROUNDING).all()
