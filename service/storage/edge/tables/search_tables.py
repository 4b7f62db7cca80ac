"""The tables that searches of one bundle use, updated whenever its sightings change."""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from uuid import UUID

from service.identity.records.vessels import VesselState
from service.storage.edge.record_cache import RecordCache
from service.storage.edge.shard import Shard
from service.storage.edge.sightings import BundleSightings, Watcher
from service.storage.edge.tables import open_table, saved_tables, sighting_table
from service.storage.edge.tables.open_table import OpenTable
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.points import payloads
from service.storage.points.filters import SIGHTINGS_OF_VESSELS
from service.storage.points.payloads import Point

LOADED_AT_ONCE = 1000
"""Sightings whose embeddings are read together when the gallery is opened."""


ENROLLED, OPEN = "enrolled", "open"

log = logging.getLogger("crossfix")


class SearchTables(Watcher):
    """Keeps the tables in step. For one thread at a time.

    Attributes:
        enrolled: the sightings of vessels.
        open: the others.
        records: those of enrolled sightings that were found last.
    """

    def __init__(
        self, folder: Path, width: int, vessels: Shard, sightings: BundleSightings, as_left: str
    ) -> None:
        """Open the tables that the last run saved, or read all embeddings.

        Args:
            folder: of the tables.
            width: D, the numbers of an embedding.
            vessels: the vessels.
            sightings: the sightings.
            as_left: describes the stores before they were opened; see `saved_tables`.
        """
        self._folder = folder
        self._width = width
        self._shards = vessels, sightings.shard
        self._in_step = True
        self.records = RecordCache(sightings.shard, payloads.sighting_from)
        if not self._open_saved(sightings, as_left):
            self._read(vessels, sightings)

    def _open_saved(self, sightings: BundleSightings, as_left: str) -> bool:
        """Open the tables that the last run saved; return False if they cannot be relied on."""
        saved = saved_tables.take(self._folder, as_left)
        if saved is None:
            return False
        try:
            enrolled, waiting = (saved_tables.part(saved, one) for one in (ENROLLED, OPEN))
            self.enrolled = SightingTable(self._folder / ENROLLED, self._width, enrolled)
            self.open = OpenTable(self._folder / OPEN, self._width, waiting)
        except (ValueError, KeyError) as error:
            log.warning("saved search tables are not used: %s", error)
            return False
        return len(self.enrolled) == sightings.shard.count(SIGHTINGS_OF_VESSELS)

    def _read(self, vessels: Shard, sightings: BundleSightings) -> None:
        self.enrolled = SightingTable(self._folder / ENROLLED, self._width)
        self.open = OpenTable(self._folder / OPEN, self._width)
        for vessel_id, row in vessels.scan(fields=[payloads.STATE]):
            self.enrolled.put_vessel(vessel_id, VesselState(row[payloads.STATE]))
        owned = sightings.shard.scan_with_vectors(SIGHTINGS_OF_VESSELS, sighting_table.FIELDS)
        while batch := list(islice(owned, LOADED_AT_ONCE)):
            self.enrolled.put_sightings(batch, new=True)
        waiting = sightings.waiting.scan_with_vectors(fields=open_table.FIELDS)
        usable = (one for one in waiting if len(one[1]) == self._width)  # others are damaged
        while batch := list(islice(usable, LOADED_AT_ONCE)):
            self.open.put(batch, new=True)

    def save(self, as_left: str) -> None:
        """Save the tables for the next run, unless they may differ from the stores.

        Args:
            as_left: describes the stores, which were closed.
        """
        if not self._in_step or any(one.failed for one in self._shards):
            return
        try:
            tables = {ENROLLED: self.enrolled.save(), OPEN: self.open.save()}
            saved_tables.save(self._folder, as_left, tables)
        except OSError as error:
            log.warning(
                "search tables are not saved, so that the next start takes longer: %s", error
            )

    def make_room(self, more: int) -> None:
        self.enrolled.make_room(more)
        self.open.make_room(more)

    def put(self, points: Sequence[Point]) -> None:
        with self._one_step():
            self.records.drop(one.id for one in points)
            rows = [(one.id, one.vector or [], one.payload) for one in points]
            self.enrolled.put_sightings(rows)
            self.open.put(rows)

    def delete(self, ids: Collection[UUID]) -> None:
        with self._one_step():
            self.records.drop(ids)
            self.enrolled.delete_sightings(ids)
            self.open.delete(ids)

    @contextmanager
    def _one_step(self) -> Iterator[None]:
        """Note whether a change of the stores was not followed to its end."""
        try:
            yield
        except BaseException:
            self._in_step = False
            raise
