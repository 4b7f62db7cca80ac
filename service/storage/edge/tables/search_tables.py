"""The tables that searches of one bundle use, updated whenever its sightings change."""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from service.contract.batches import in_batches
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.records.vessels import VesselState
from service.storage.edge.record_cache import RecordCache
from service.storage.edge.shard import Shard
from service.storage.edge.sightings import BundleSightings, Watcher
from service.storage.edge.tables import change_journal, open_table, saved_tables, sighting_table
from service.storage.edge.tables.open_table import OpenTable
from service.storage.edge.tables.sighting_table import SightingTable
from service.storage.local.disk_errors import disk_errors
from service.storage.points import payloads
from service.storage.points.archive import EmbeddedPoint
from service.storage.points.filters import SIGHTINGS_OF_VESSELS
from service.storage.points.payloads import Point

READ_AT_ONCE = 1000
"""Records that are read together when the gallery is opened."""

SAVE_AFTER = 20_000
"""Entries of a journal after which the tables are saved anew: a start after a kill reads at most
some more records than that."""

ENROLLED, OPEN = "enrolled", "open"
OPEN_CHARACTERS = 2**20
"""Of the JSON of open sightings that are kept: some 1,000 records."""

NOT_SAVED = "search tables are not saved, so that a start may take longer: %s"

log = logging.getLogger("crossfix")


class SearchTables(Watcher):
    """Keeps the tables in step. For one thread at a time, unless a method says otherwise.

    At any time, the saved tables and their journal tell which records a table opened from them
    lacks. This holds because each change is noted before it begins, in stores and tables, and so is
    each row that is moved; and because tables are saved only while no change is in progress, with
    a new journal that begins with the changes that failed.

    Attributes:
        enrolled: the sightings of vessels.
        records: those of enrolled sightings that were found last.
        open_records: those of open sightings, as hits without a similarity.
    """

    def __init__(
        self,
        folder: Path,
        bundle: str,
        width: int,
        vessels: Shard,
        sightings: BundleSightings,
        lock: AbstractContextManager[object],
    ) -> None:
        """Open the tables that the last run left, or read all records.

        Args:
            width: D, the numbers of an embedding.
            lock: is held in each step on tables; the same thread may hold it twice.

        Raises:
            StoreUnavailableError, StoreFullError: the folder cannot be used.
        """
        self._folder, self._bundle, self._width = folder, bundle, width
        self._vessels, self._sightings, self._lock = vessels, sightings, lock
        self._journals: list[change_journal.ChangeJournal] = []
        self._in_progress = 0
        self._failed = set[bytes]()
        self._save_at = SAVE_AFTER
        self.records = RecordCache(sightings.shard, payloads.sighting_from)
        self.open_records = RecordCache(
            sightings.open_points, partial(payloads.hit_from, score=0.0), OPEN_CHARACTERS
        )
        try:
            self._open_saved()
        except (OSError, ValueError, KeyError) as error:
            self._read()
            if len(self.enrolled) or len(self.open):
                log.warning("all records were read, as saved search tables do not count: %s", error)

    def _open_saved(self) -> None:
        """Open the saved tables and read what changed since.

        Raises:
            OSError, ValueError, KeyError: there are none, or they cannot be relied on.
        """
        saved = saved_tables.load(self._folder, self._bundle)
        path = saved_tables.journal_of(self._folder, saved.id)
        if not path.exists():
            raise ValueError(f"{path} is missing, or stores were changed after they were closed")
        journal = change_journal.ChangeJournal(path, saved.id)
        self._journals = [journal]
        enrolled, waiting = saved.part(ENROLLED), saved.part(OPEN)
        self.enrolled = SightingTable(
            self._folder / ENROLLED, self._width, enrolled, self._note_move
        )
        self.open = OpenTable(self._folder / OPEN, self._width, waiting, self._note_move)
        self._catch_up(journal.found)
        if len(self.enrolled) != self._sightings.shard.count(SIGHTINGS_OF_VESSELS):
            raise ValueError("the number of sightings is another")
        saved_tables.remove_journals(self._folder, besides=saved.id)
        if journal.found:
            self._save()

    def _catch_up(self, entries: Collection[bytes]) -> None:
        """Replace what may have changed by what the stores hold, and check the rest."""
        changed = change_journal.ids_of(change_journal.SIGHTING, entries)
        self.enrolled.delete_sightings(changed)
        self.open.delete(changed)
        self.enrolled.check()
        self.open.check()
        changed_vessels = change_journal.ids_of(change_journal.VESSEL, entries)
        for vessels in in_batches(changed_vessels, READ_AT_ONCE):
            found = self._vessels.fetch(vessels)
            for vessel_id in vessels:
                if vessel_id in found:
                    self._put_vessel(vessel_id, found[vessel_id])
                else:
                    self.enrolled.delete_vessel(vessel_id)
        for sightings in in_batches(changed, READ_AT_ONCE):
            rows = self._sightings.fetch_with_vectors(sightings)
            self.enrolled.put_sightings(rows, new=True)
            self.open.put(self._usable(rows), new=True)

    def _read(self) -> None:
        self._journals = []
        with disk_errors(f"use {self._folder}"):
            saved_tables.discard(self._folder)
        self.enrolled = SightingTable(self._folder / ENROLLED, self._width, None, self._note_move)
        self.open = OpenTable(self._folder / OPEN, self._width, None, self._note_move)
        for vessel_id, row in self._vessels.scan(fields=[payloads.STATE]):
            self._put_vessel(vessel_id, row)
        owned = self._sightings.shard.scan_with_vectors(SIGHTINGS_OF_VESSELS, sighting_table.FIELDS)
        for batch in in_batches(owned, READ_AT_ONCE):
            self.enrolled.put_sightings(batch, new=True)
        open_rows = self._sightings.open_points.scan_with_vectors(fields=open_table.FIELDS)
        for batch in in_batches(open_rows, READ_AT_ONCE):
            self.open.put(self._usable(batch), new=True)
        self._save()

    def _put_vessel(self, vessel_id: UUID, row: payloads.Payload) -> None:
        self.enrolled.put_vessel(vessel_id, VesselState(row[payloads.STATE]))

    def _usable(self, rows: Sequence[EmbeddedPoint]) -> list[EmbeddedPoint]:
        """Return the sightings whose embeddings are not damaged."""
        return [one for one in rows if len(one[1]) == self._width]

    def _save(self) -> None:
        """Save the tables while they are in use, with a new journal; for a thread that writes."""
        tables = uuid4()
        try:
            journal = change_journal.create_journal(
                saved_tables.journal_of(self._folder, tables), tables
            )
            with self._lock:
                if self._in_progress:
                    return
                journal.note(self._failed)
                # All of them, until it is certain which tables the next start finds.
                self._journals = [*self._journals, journal]
                columns = self._columns()
            saved_tables.save(self._folder, tables, self._bundle, "", columns)
            with self._lock:
                self._journals = [journal]
            saved_tables.remove_journals(self._folder, besides=tables)
        except (OSError, StoreFullError, StoreUnavailableError) as error:
            log.warning(NOT_SAVED, error)
            self._save_at += SAVE_AFTER
        else:
            self._save_at = SAVE_AFTER

    def save(self, as_left: str) -> None:
        """Save the tables for the next run, unless they may differ from the stores.

        Args:
            as_left: describes the stores, which were closed.
        """
        if self._failed or self._in_progress:
            return  # what was saved before and its journal count as after a kill
        try:
            self.enrolled.sync()
            self.open.sync()
            saved_tables.save(self._folder, uuid4(), self._bundle, as_left, self._columns())
            saved_tables.remove_journals(self._folder)
        except OSError as error:
            log.warning(NOT_SAVED, error)

    def make_room(self, more: int) -> None:
        if self._journals and len(self._journals[0]) >= self._save_at and not self._in_progress:
            self._save()
        self.enrolled.make_room(more)
        self.open.make_room(more)

    @contextmanager
    def changing(
        self, sightings: Collection[UUID] = (), vessels: Collection[UUID] = ()
    ) -> Iterator[None]:
        entries = change_journal.entries_of(sightings, vessels)
        with self._lock:
            self._note(entries)
            self._in_progress += 1
        try:
            yield
        except BaseException:
            self._failed.update(entries)
            raise
        finally:
            with self._lock:
                self._in_progress -= 1

    def put(self, points: Sequence[Point]) -> None:
        self._drop_records([one.id for one in points])
        rows = [(one.id, one.vector or [], one.payload) for one in points]
        self.enrolled.put_sightings(rows)
        self.open.put(rows)

    def delete(self, ids: Collection[UUID]) -> None:
        self._drop_records(ids)
        self.enrolled.delete_sightings(ids)
        self.open.delete(ids)

    def mark_compared(self, ids: Collection[UUID], compared: bool) -> None:
        """Follow a change of the groups of open sightings, see `OpenTable.mark_compared`."""
        self.open_records.drop(ids)
        self.open.mark_compared(ids, compared)

    def _drop_records(self, ids: Collection[UUID]) -> None:
        self.records.drop(ids)
        self.open_records.drop(ids)

    def _columns(self) -> saved_tables.Columns:
        return {ENROLLED: self.enrolled.columns(), OPEN: self.open.columns()}

    def _note(self, entries: Collection[bytes]) -> None:
        for journal in self._journals:
            journal.note(entries)

    def _note_move(self, sighting: bytes) -> None:
        self._note([change_journal.SIGHTING + sighting])
