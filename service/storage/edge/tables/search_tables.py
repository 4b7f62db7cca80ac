"""The tables that searches of one bundle use, in step with its sightings."""

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from uuid import UUID

from service.identity.records.vessels import VesselState
from service.storage.edge.record_cache import RecordCache
from service.storage.edge.shard import Shard
from service.storage.edge.sightings import BundleSightings
from service.storage.edge.tables import open_table, sighting_table
from service.storage.edge.tables.open_table import OpenTable
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.points import payloads
from service.storage.points.filters import SIGHTINGS_OF_VESSELS
from service.storage.points.payloads import Point

LOADED_AT_ONCE = 1000
"""Sightings whose embeddings are read together when the gallery is opened."""


class SearchTables:
    """A `Watcher`. For one thread at a time.

    Attributes:
        enrolled: the sightings of vessels.
        open: the others.
        records: those of enrolled sightings that were found last.
    """

    def __init__(
        self, folder: Path, width: int, vessels: Shard, sightings: BundleSightings
    ) -> None:
        """Read all embeddings.

        Args:
            folder: where the tables store embeddings.
            width: D, the numbers of an embedding.
            vessels: the vessels.
            sightings: the sightings.
        """
        self.enrolled = SightingTable(folder, width)
        self.open = OpenTable(folder, width)
        self.records = RecordCache(sightings.shard, payloads.sighting_from)
        for vessel_id, row in vessels.scan(fields=[payloads.STATE]):
            self.enrolled.put_vessel(vessel_id, VesselState(row[payloads.STATE]))
        owned = sightings.shard.scan_with_vectors(SIGHTINGS_OF_VESSELS, sighting_table.FIELDS)
        while batch := list(islice(owned, LOADED_AT_ONCE)):
            self.enrolled.put_sightings(batch, new=True)
        waiting = sightings.waiting.scan_with_vectors(fields=open_table.FIELDS)
        usable = (one for one in waiting if len(one[1]) == width)  # others are damaged
        while batch := list(islice(usable, LOADED_AT_ONCE)):
            self.open.put(batch, new=True)

    def make_room(self, more: int) -> None:
        self.enrolled.make_room(more)
        self.open.make_room(more)

    def put(self, points: Sequence[Point]) -> None:
        self.records.drop(one.id for one in points)
        rows = [(one.id, one.vector or [], one.payload) for one in points]
        self.enrolled.put_sightings(rows)
        self.open.put(rows)

    def delete(self, ids: Collection[UUID]) -> None:
        self.records.drop(ids)
        self.enrolled.delete_sightings(ids)
        self.open.delete(ids)
