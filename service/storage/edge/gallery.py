"""The gallery in a folder, through Qdrant Edge in this process: nothing to install or run.

One process at a time. Vessels are in one shard, their sightings of each bundle in another, and open
sightings in an SQLite file. Every writing method returns when its change is on disk. A change of a
sighting also changes the embeddings that other bundles made of it. Searches use tables and then
read the records of what they found.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.identity.records.sightings import (
    EmbeddedSighting,
    Found,
    GalleryCounts,
    GroupPlace,
    SearchResults,
    Sighting,
    SightingHit,
    VesselQuery,
)
from service.identity.records.vessels import Vessel
from service.storage.edge.filters import as_filter
from service.storage.edge.folder import SEARCH, SEARCHED_INDEXES, GalleryFolder
from service.storage.edge.record_cache import RecordCache
from service.storage.edge.shard import Shard, upsert
from service.storage.edge.sightings import BundleSightings, Watcher
from service.storage.edge.tables.search_tables import SearchTables
from service.storage.points import payloads
from service.storage.points.filters import Condition, of_vessels, shows_chip, sighting_clauses
from service.storage.points.gallery import PointGallery
from service.storage.points.record_digests import require_intact_vector
from service.storage.sqlite.table import PointTable


class EdgeGallery(PointGallery):
    """A `Gallery` for several threads.

    A lock serialises all changes of shards and tables, and what reads both. Writers of sightings
    hold another one from beginning to end, so that searches go on while a change is brought to
    disk.
    """

    _vessels: Shard
    _sightings: BundleSightings
    _open_sightings: PointTable

    def __init__(self, folder: Path, bundle_id: str, width: int) -> None:
        """Lock and open the gallery in `folder`, creating it where needed and replaying its log.

        Args:
            folder: see `GalleryFolder`.
            width: D, the embedding width of that bundle.

        Raises:
            StoreUnavailableError: another process has it open, or the folder is damaged.
            StoreFullError: the disk is full.
        """
        self._bundle_id = bundle_id
        self._width = width
        self._lock, self._writing = threading.RLock(), threading.RLock()
        self._folder = GalleryFolder(folder, searched=True)
        try:
            self._vessels = self._folder.vessels
            self._sightings = self._folder.sightings(bundle_id, width, SEARCHED_INDEXES)
            self._open_sightings = self._sightings.open_points
            self._other_bundles: list[BundleSightings] | None = None
            self._tables = SearchTables(
                folder / SEARCH,
                payloads.bundle_slug(bundle_id),
                width,
                self._vessels,
                self._sightings,
                self._lock,
            )
            self._sightings.watch(self._lock, self._tables)
            self._known_vessels = RecordCache(self._vessels, payloads.vessel_from)
            if self._folder.active() is None:
                self._folder.activate(bundle_id)
        except BaseException:
            self._folder.unlock()
            raise

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        del fence  # Claims of a single process are not lost.
        with self._tables.changing(vessels=[vessel.id]):
            with self._lock:
                self._vessels.apply(upsert([payloads.vessel_point(vessel)]))
                self._known_vessels.drop([vessel.id])
                self._tables.enrolled.put_vessel(vessel.id, vessel.state)
            self._vessels.sync()

    def take_over(self, vessel_id: UUID, fence: UUID) -> None:
        """Do nothing: a single process does not lose its claims."""

    def put_fenced(self, vessel: Vessel, fence: UUID) -> None:
        self.put_vessel(vessel, fence)

    def delete_vessel(self, vessel_id: UUID) -> None:
        with self._tables.changing(vessels=[vessel_id]):
            with self._lock:
                self._vessels.apply(edge.UpdateOperation.delete_points([vessel_id]))
                self._known_vessels.drop([vessel_id])
                self._tables.enrolled.delete_vessel(vessel_id)
            self._vessels.sync()

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        points = payloads.sighting_points(
            sightings, self._bundle_id, self._width, lambda _: vessel, uncompared=True
        )
        if points:
            with self._writing:
                self._sightings.put(points)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        with self._writing:
            without_vessel = self._without_vessel([one.sighting.id for one in sightings])
            replaceable = [one for one in sightings if one.sighting.id in without_vessel]
            self.put_sightings(replaceable, None)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        owner = payloads.ownership_payload(vessel) | payloads.origin_payload(origin)
        owner |= payloads.uncompared_payload(vessel)
        with self._writing:
            for sightings in (self._sightings, *self._others()):
                sightings.set_owner(ids, owner)

    def sync_vessel(self, vessel: Vessel) -> None:
        owner = payloads.ownership_payload(vessel)
        of_vessel = as_filter(Condition((of_vessels([vessel.id]),)))
        shards = [one.shard for one in (self._sightings, *self._others())]
        own = self._tables.enrolled.sightings_of
        with self._writing, self._tables.changing(own([vessel.id])):
            with self._lock:
                for shard in shards:
                    shard.apply(edge.UpdateOperation.set_payload_by_filter(of_vessel, owner))
                self._tables.enrolled.describe_vessel(vessel.id, owner)
            for shard in shards:
                shard.sync()

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        with self._lock:
            rows = self._sightings.shard.fetch(self._tables.enrolled.sightings_of(vessel_ids))
        return payloads.sightings_by_time(rows.values())

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        with self._writing:
            for sightings in (self._sightings, *self._others()):
                sightings.delete(ids)

    def uses_chip(self, chip_sha256: str) -> bool:
        where = shows_chip(chip_sha256)
        with self._lock:
            return (
                self._tables.enrolled.shows_chip(chip_sha256)
                or self._open_sightings.count(where) > 0
                or any(one.count(where) for one in self._others())
            )

    def unused_chips(self, chips: Collection[str]) -> set[str]:
        with self._lock:
            unused = self._tables.enrolled.without_sighting(chips)
            open_rows = self._open_sightings.scan(fields=[payloads.CHIP])
            unused.difference_update(str(row[payloads.CHIP]) for _, row in open_rows)
            return {
                chip
                for chip in unused
                if not any(one.count(shows_chip(chip)) for one in self._others())
            }

    def search_each(self, queries: Sequence[VesselQuery], vessels: int) -> SearchResults:
        for one in queries:
            payloads.check_vector(one.vector, self._width)
        with self._lock:
            self._folder.require_open()
            enrolled = self._tables.enrolled
            filters = {
                where: enrolled.passing(sighting_clauses(where))
                for where in {one.where for one in queries}
            }
            found = enrolled.nearest(
                [one.vector for one in queries], [filters[one.where] for one in queries], vessels
            )
            rows = np.unique(np.concatenate([one.rows for one in found]))
            numbers = np.unique(np.concatenate([one.vessels for one in found]))
            ids, vessel_ids = enrolled.ids(rows), enrolled.vessel_ids(numbers)
            sightings = self._tables.records.get(ids)
            known = self._known_vessels.get(vessel_ids)
        return SearchResults(
            [known[one] for one in vessel_ids],
            [sightings[one] for one in ids],
            [
                Found(
                    np.searchsorted(numbers, one.vessels),
                    np.searchsorted(rows, one.rows),
                    one.similarity.astype(np.float64),
                )
                for one in found
            ],
        )

    def require_intact(self, ids: Collection[UUID]) -> None:
        for _, vector, row in self._sightings.fetch_with_vectors(ids):
            payloads.sighting_from(row)
            require_intact_vector(vector, row)

    def search_open(
        self, vector: NDArray[np.float32], modality: Modality, limit: int, compared: bool = False
    ) -> list[SightingHit]:
        payloads.check_vector(vector, self._width)
        with self._lock:
            self._folder.require_open()
            found = self._tables.open.nearest(vector, modality, limit, compared)
            known = self._tables.open_records.get(i.bytes for i in found)
        return [
            replace(known[i.bytes], similarity=payloads.cosine(score))
            for i, score in found.items()
            if i.bytes in known
        ]

    def mark_compared(self, ids: Collection[UUID]) -> None:
        with self._writing:
            self._sightings.shard.set_fields(ids, payloads.compared_payload())

    def open_count(self) -> int:
        with self._lock:
            return len(self._tables.open)

    def place_in_group(self, places: Mapping[UUID, GroupPlace | None]) -> None:
        with self._writing, self._tables.changing(places):
            self._open_sightings.set_fields_of_each(
                {i: payloads.group_payload(place) for i, place in places.items()}
            )
            with self._lock:
                self._tables.mark_compared(places, True)

    def compare_anew(self, ids: Collection[UUID]) -> None:
        with self._writing, self._tables.changing(ids):
            self._open_sightings.set_fields(ids, payloads.uncompared_payload(None))
            with self._lock:
                self._tables.mark_compared(ids, False)

    def counts(self) -> GalleryCounts:
        with self._lock:
            return self._tables.enrolled.counts()

    def ping(self) -> None:
        self._vessels.ping()
        self._sightings.ping()

    def delete_open_sightings(self, ids: Collection[UUID]) -> None:
        with self._writing:
            self.delete_sightings(self._without_vessel(ids))

    def close(self) -> None:
        with self._writing, self._lock:
            self._folder.close(self._tables.save)

    def _others(self) -> list[BundleSightings]:
        """Return the sightings of other bundles, opened when they are first needed."""
        with self._lock:
            if self._other_bundles is None:
                own = payloads.bundle_slug(self._bundle_id)
                others = [bundle for bundle in self._folder.bundles() if bundle != own]
                self._other_bundles = [self._folder.sightings(bundle) for bundle in others]
                for one in self._other_bundles:
                    one.watch(self._lock, Watcher())
            return self._other_bundles

    def _without_vessel(self, ids: Collection[UUID]) -> set[UUID]:
        """Return those of these sightings that are open or absent."""
        with self._lock:
            return {*ids} - self._tables.enrolled.having_vessel(ids)
