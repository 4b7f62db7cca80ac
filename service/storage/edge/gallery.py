"""The gallery in a folder, through Qdrant Edge in this process: nothing to install or run.

One process at a time. Vessels are in one shard, the sightings of each bundle in another. Every
writing method returns when the shard's log is on disk. A change of a sighting also changes the
embeddings that other bundles made of it. Searches for vessels use a table in memory and then read
the records of what they found.
"""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.identity.records.checks import RecordCheck
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    GroupedSighting,
    GroupPlace,
    Sighting,
    SightingFilter,
    SightingHit,
    VesselHit,
    VesselQuery,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState
from service.storage.edge.filters import as_filter
from service.storage.edge.folder import GalleryFolder
from service.storage.edge.record_cache import RecordCache, vessel_hits
from service.storage.edge.shard import Shard, upsert
from service.storage.edge.sighting_table import FIELDS, Mask, SightingTable
from service.storage.local.disk_space import DEFAULT_MIN_FREE_BYTES
from service.storage.points import payloads
from service.storage.points.checking import check_gallery, require_intact_sightings
from service.storage.points.expiry import open_sightings
from service.storage.points.filters import (
    SIGHTINGS_OF_VESSELS,
    UNCOMPARED_SIGHTINGS,
    UNGROUPED_SIGHTINGS,
    AnyOf,
    Clause,
    Condition,
    in_groups,
    in_state,
    of_vessels,
    open_of,
    shows_chip,
    sighting_clauses,
    vessel_condition,
)
from service.storage.points.grouping import NearestQuery
from service.storage.points.open_groups import group_sizes, members_from
from service.storage.points.paging import vessel_page

LOADED_AT_ONCE = 1000
"""Sightings whose embeddings are read together when the gallery is opened."""


class EdgeGallery:
    """A `Gallery`; a lock serialises the calls of several threads."""

    def __init__(
        self,
        folder: Path,
        bundle_id: str,
        width: int,
        min_free_bytes: int = DEFAULT_MIN_FREE_BYTES,
    ) -> None:
        """Lock and open the gallery in `folder`, creating it where needed and replaying its log.

        Args:
            folder: see `GalleryFolder`.
            bundle_id: the bundle whose embeddings are stored and searched.
            width: D, the embedding width of that bundle.
            min_free_bytes: writes are refused with less disk space than this.

        Raises:
            StoreUnavailableError: another process has it open, or the folder is damaged.
            StoreFullError: the disk is full.
        """
        self._bundle_id = bundle_id
        self._width = width
        self._lock = threading.RLock()
        self._folder = GalleryFolder(folder, min_free_bytes)
        try:
            self._vessels = self._folder.vessels
            self._sightings = self._folder.sightings(bundle_id, width)
            self._other_shards: list[Shard] | None = None
            self._table = self._load_table()
            self._known_vessels = RecordCache(self._vessels, payloads.vessel_from)
            self._known_sightings = RecordCache(self._sightings, payloads.sighting_from)
            if self._folder.active() is None:
                self._folder.activate(bundle_id)
        except BaseException:
            self._folder.unlock()
            raise

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        del fence  # Claims of a single process are not lost.
        with self._lock:
            self._vessels.apply(upsert([payloads.vessel_point(vessel)]))
            self._known_vessels.drop([vessel.id])
            self._table.put_vessel(vessel.id, vessel.state)
        self._vessels.sync()

    def take_over(self, vessel_id: UUID, fence: UUID) -> None:
        """Do nothing: a single process does not lose its claims."""

    def put_fenced(self, vessel: Vessel, fence: UUID) -> None:
        self.put_vessel(vessel, fence)

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        with self._lock:
            rows = self._vessels.retrieve(ids)
        return payloads.vessels_by_id(rows)

    def find_by_imo(self, imo: str) -> list[Vessel]:
        return self._all_vessels(AnyOf(payloads.IMO, [imo]))

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        return self._all_vessels(in_state(states))

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        condition = vessel_condition(where)
        with self._lock:
            return vessel_page(
                lambda start, count: self._vessels.page(condition, start, count),
                where.name,
                limit,
                cursor,
            )

    def delete_vessel(self, vessel_id: UUID) -> None:
        with self._lock:
            self._vessels.apply(edge.UpdateOperation.delete_points([vessel_id]))
            self._known_vessels.drop([vessel_id])
            self._table.delete_vessel(vessel_id)
        self._vessels.sync()

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        points = payloads.sighting_points(
            sightings, self._bundle_id, self._width, lambda _: vessel, uncompared=True
        )
        if not points:
            return
        with self._lock:
            self._sightings.apply(upsert(points))
            self._known_sightings.drop(one.id for one in points)
            self._table.put_sightings([(one.id, one.vector or [], one.payload) for one in points])
        self._sightings.sync()

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        with self._lock:
            replaceable = [one for one in sightings if not self._table.has_vessel(one.sighting.id)]
            self.put_sightings(replaceable, None)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        with self._lock:
            existing = self._sightings.existing(ids)
            if existing:
                owner = payloads.ownership_payload(vessel) | payloads.origin_payload(origin)
                owner |= payloads.uncompared_payload(vessel)
                for shard, known in self._shards_with(existing):
                    shard.apply(edge.UpdateOperation.set_payload([*known], owner))
                self._known_sightings.drop(existing)
                self._table.put_sightings(self._sightings.fetch_with_vectors(existing))
        self._sync_sightings()

    def sync_vessel(self, vessel: Vessel) -> None:
        of_vessel = as_filter(Condition((of_vessels([vessel.id]),)))
        owner = payloads.ownership_payload(vessel)
        with self._lock:
            for shard in (self._sightings, *self._others()):
                shard.apply(edge.UpdateOperation.set_payload_by_filter(of_vessel, owner))
            self._table.describe_vessel(vessel.id, owner)
        self._sync_sightings()

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        with self._lock:
            rows = self._sightings.retrieve([sighting_id])
        return payloads.sighting_from(rows[0]) if rows else None

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        if not vessel_ids:
            return []
        with self._lock:
            rows = list(self._sightings.scan(Condition((of_vessels(vessel_ids),))))
        return payloads.sightings_by_time(row for _, row in rows)

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        with self._lock:
            existing = self._sightings.existing(ids)
            if existing:
                for shard, known in self._shards_with(existing):
                    shard.apply(edge.UpdateOperation.delete_points([*known]))
                self._known_sightings.drop(existing)
                self._table.delete_sightings(existing)
        self._sync_sightings()

    def uses_chip(self, chip_sha256: str) -> bool:
        where = shows_chip(chip_sha256)
        with self._lock:
            return any(shard.count(where) for shard in (self._sightings, *self._others()))

    def search(
        self,
        vector: NDArray[np.float32],
        where: SightingFilter,
        vessels: int,
        sightings_per_vessel: int = 3,
    ) -> list[VesselHit]:
        [hits] = self.search_each([VesselQuery(vector, where)], vessels, sightings_per_vessel)
        return hits

    def search_each(
        self, queries: Sequence[VesselQuery], vessels: int, sightings_per_vessel: int = 3
    ) -> list[list[VesselHit]]:
        for one in queries:
            payloads.check_vector(one.vector, self._width)
        with self._lock:
            self._folder.require_open()
            passing = {where: self._passing(where) for where in {one.where for one in queries}}
            found = self._table.nearest(
                np.stack([one.vector for one in queries]),
                [passing[one.where] for one in queries],
                vessels,
                sightings_per_vessel,
            )
            near = [one for answer in found for one in answer]
            sightings = self._known_sightings.get({i for one in near for i, _ in one.sightings})
            records = self._known_vessels.get({one.vessel for one in near})
        return [vessel_hits(answer, records, sightings) for answer in found]

    def require_intact(self, ids: Collection[UUID]) -> None:
        with self._lock:
            require_intact_sightings(self._sightings, ids)

    def search_open(
        self,
        vector: NDArray[np.float32],
        modality: Modality,
        limit: int,
        compared: bool = False,
    ) -> list[SightingHit]:
        query = payloads.check_vector(vector, self._width)
        with self._lock:
            [found] = self._sightings.nearest(
                [NearestQuery(query, open_of(modality, compared), limit)]
            )
        return [payloads.hit_from(row, score) for _, score, row in found]

    def uncompared(self, limit: int) -> list[EmbeddedSighting]:
        with self._lock:
            rows = list(islice(self._sightings.scan_with_vectors(UNCOMPARED_SIGHTINGS), limit))
        return [EmbeddedSighting(payloads.sighting_from(row), vector) for _, vector, row in rows]

    def mark_compared(self, ids: Collection[UUID]) -> None:
        with self._lock:
            self._sightings.set_fields(ids, payloads.compared_payload())

    def ungrouped(self, limit: int) -> list[EmbeddedSighting]:
        with self._lock:
            rows = list(islice(self._sightings.scan_with_vectors(UNGROUPED_SIGHTINGS), limit))
        return [EmbeddedSighting(payloads.sighting_from(row), vector) for _, vector, row in rows]

    def open_count(self) -> int:
        with self._lock:
            return self._sightings.points() - len(self._table)

    def place_in_group(self, places: Mapping[UUID, GroupPlace | None]) -> None:
        with self._lock:
            self._sightings.set_fields_of_each(
                {
                    i: payloads.group_payload(places[i])
                    for i in self._sightings.existing(places)
                    if not self._table.has_vessel(i)
                }
            )

    def compare_anew(self, ids: Collection[UUID]) -> None:
        with self._lock:
            without_vessel = [i for i in ids if not self._table.has_vessel(i)]
            self._sightings.set_fields(without_vessel, payloads.uncompared_payload(None))

    def members_of(self, groups: Collection[UUID]) -> list[GroupedSighting]:
        if not groups:
            return []
        with self._lock:
            rows = list(self._sightings.scan(in_groups(groups)))
        return members_from(row for _, row in rows)

    def group_sizes(self) -> dict[UUID, int]:
        return group_sizes(self._sightings, self._lock)

    def counts(self) -> GalleryCounts:
        with self._lock:
            return self._table.counts()

    def ping(self) -> None:
        with self._lock:
            for shard in (self._vessels, self._sightings):
                shard.ping()

    def open_sightings(self, before: datetime | None, beyond: int | None) -> list[tuple[UUID, str]]:
        return open_sightings(self._sightings, before, beyond, self._lock)

    def delete_open_sightings(self, ids: Collection[UUID]) -> None:
        with self._lock:
            self.delete_sightings([i for i in ids if not self._table.has_vessel(i)])

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return check_gallery(self._vessels, [self._sightings], self._lock)

    def close(self) -> None:
        with self._lock:
            self._folder.close()

    def _others(self) -> list[Shard]:
        """Return the sightings of other bundles, opened when they are first needed."""
        if self._other_shards is None:
            own = payloads.bundle_slug(self._bundle_id)
            others = [bundle for bundle in self._folder.bundles() if bundle != own]
            self._other_shards = [self._folder.sightings(bundle) for bundle in others]
        return self._other_shards

    def _shards_with(self, ids: Collection[UUID]) -> Iterator[tuple[Shard, Collection[UUID]]]:
        """Yield each shard with those of these sightings that it holds; this bundle holds all."""
        yield self._sightings, ids
        for shard in self._others():
            if known := shard.existing(ids):
                yield shard, known

    def _sync_sightings(self) -> None:
        for shard in (self._sightings, *(self._other_shards or ())):
            shard.sync()

    def _passing(self, where: SightingFilter) -> Mask:
        """Return which sightings of the table pass a filter; the shard knows what it does not."""
        clauses = sighting_clauses(where)
        mask = self._table.passing(one for one in clauses if one.key in FIELDS)
        if further := tuple(one for one in clauses if one.key not in FIELDS):
            rows = self._sightings.scan(Condition(further), [payloads.VESSEL_ID])
            mask &= self._table.among(sighting_id for sighting_id, _ in rows)
        return mask

    def _all_vessels(self, clause: Clause) -> list[Vessel]:
        with self._lock:
            rows = list(self._vessels.scan(Condition((clause,))))
        return [payloads.vessel_from(row) for _, row in rows]

    def _load_table(self) -> SightingTable:
        table = SightingTable(self._width)
        for vessel_id, row in self._vessels.scan(fields=[payloads.STATE]):
            table.put_vessel(vessel_id, VesselState(row[payloads.STATE]))
        rows = self._sightings.scan_with_vectors(SIGHTINGS_OF_VESSELS, FIELDS)
        while batch := list(islice(rows, LOADED_AT_ONCE)):
            table.put_sightings(batch)
        return table
