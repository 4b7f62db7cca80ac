"""The gallery on a Qdrant server, shared by any number of replicas.

Collections, indexes and alias are created on first use. A change of a sighting also changes the
embeddings that other bundles made of it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from service.contract.chip import Modality
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    GroupPlace,
    SearchResults,
    Sighting,
    SightingHit,
    VesselQuery,
)
from service.identity.records.vessels import Vessel, VesselState
from service.storage.points import filters, payloads
from service.storage.points.gallery import PointGallery
from service.storage.points.payloads import Payload
from service.storage.server.collection import NearestQuery, ServerCollection
from service.storage.server.connection import ServerConnection
from service.storage.server.counts import KeptCounts
from service.storage.server.embeddings import CheckedEmbeddings
from service.storage.server.filters import as_filter
from service.storage.server.layout import (
    DEFAULT_PREFIX,
    ORPHANED,
    SIGHTING_INDEXES,
    VESSEL_INDEXES,
    Layout,
)
from service.storage.server.preparing import ensure_collection
from service.storage.server.searching import Near, SearchRecords, Unread, VesselSearch, unread

VISIBLE = filters.in_state([state for state in VesselState if state.visible])


class ServerGallery(PointGallery):
    """A `Gallery`. Every call is one request or a few; this object keeps nothing but counts.

    A search takes two round trips and reads one copy; so do lists. Everything that a change
    depends on is read from a majority of the copies.
    """

    _vessels: ServerCollection
    _sightings: ServerCollection

    def __init__(
        self, connection: ServerConnection, bundle_id: str, width: int, prefix: str = DEFAULT_PREFIX
    ) -> None:
        """Send nothing yet.

        Args:
            connection: the server; `close` closes it.
            width: D, the embedding width of that bundle.
            prefix: begins the names of the collections and of the alias.
        """
        self._bundle_id = bundle_id
        self._width = width
        self._layout = Layout(prefix)
        self._vessels = ServerCollection(connection, self._layout.vessels)
        self._sightings = ServerCollection(connection, self._layout.sightings(bundle_id))
        self._open_sightings = self._sightings
        self._connection = connection
        connection.on_first_use(self._prepare)
        self._counts = KeptCounts(self._count)
        self._embeddings = CheckedEmbeddings(self._sightings)

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        with self._change():
            self._vessels.put([payloads.vessel_point(vessel, fence)])

    def take_over(self, vessel_id: UUID, fence: UUID) -> None:
        enrolling = filters.Condition((filters.in_state([VesselState.ENROLLING]),))
        self._vessels.set_fields([vessel_id], {payloads.FENCE: str(fence)}, enrolling)

    def put_fenced(self, vessel: Vessel, fence: UUID) -> None:
        fenced = filters.Condition((filters.AnyOf(payloads.FENCE, [str(fence)]),))
        with self._change():
            self._vessels.put(
                [payloads.vessel_point(vessel, fence)],
                update_mode=models.UpdateMode.UPDATE_ONLY,
                update_filter=as_filter(fenced),
            )

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Delete the vessel's record; mark its sightings, so that `counts` can leave them out."""
        orphans = filters.Condition((filters.of_vessels([vessel_id]),))
        with self._change():
            for collection in self._sighting_collections():
                collection.set_fields(None, {ORPHANED: True}, orphans)
            self._vessels.delete([vessel_id])

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        """Insert or replace sightings, all in one write."""
        points = payloads.sighting_points(
            sightings, self._bundle_id, self._width, lambda _: vessel, uncompared=True
        )
        with self._change():
            self._sightings.put(points)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        """Insert or replace open sightings, which no count includes."""
        without_vessel = as_filter(filters.OPEN_SIGHTINGS)
        points = payloads.sighting_points(sightings, self._bundle_id, self._width, lambda _: None)
        self._sightings.put(points, update_filter=without_vessel)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        if ids:
            more = payloads.origin_payload(origin) | payloads.uncompared_payload(vessel)
            self._set_owner(ids, filters.EVERYTHING, vessel, more)

    def sync_vessel(self, vessel: Vessel) -> None:
        self._set_owner(None, filters.Condition((filters.of_vessels([vessel.id]),)), vessel)

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        if not vessel_ids:
            return []
        return payloads.sightings_by_time(
            self._sightings.select(filters.Condition((filters.of_vessels(vessel_ids),)))
        )

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        if ids:
            with self._change():
                for collection in self._sighting_collections():
                    collection.delete(ids)

    def uses_chip(self, chip_sha256: str) -> bool:
        where = filters.shows_chip(chip_sha256)
        return any(one.any_copy_has(where) for one in self._sighting_collections(rounds=1))

    def unused_chips(self, chips: Collection[str]) -> set[str]:
        return {chip for chip in chips if not self.uses_chip(chip)}

    def search_each(self, queries: Sequence[VesselQuery], vessels: int) -> SearchResults:
        searches = [
            VesselSearch(
                payloads.check_vector(one.vector, self._width),
                filters.Condition(filters.sighting_clauses(one.where)),
                vessels,
            )
            for one in queries
        ]
        records = SearchRecords()
        while asking := [one for one in searches if one.needs_sightings(records)]:
            answers = self._sightings.nearest([one.query() for one in asking], [payloads.VESSEL_ID])
            for one, points in zip(asking, answers, strict=True):
                one.take([_near(point) for point in points])
            while wanted := unread(searches, records):
                self._read(wanted, records)
        return SearchResults.of(one.hits(records) for one in searches)

    def require_intact(self, ids: Collection[UUID]) -> None:
        self._embeddings.require_intact(ids)

    def search_open(
        self, vector: NDArray[np.float32], modality: Modality, limit: int, compared: bool = False
    ) -> list[SightingHit]:
        where = filters.open_of(modality, compared)
        query = NearestQuery(payloads.check_vector(vector, self._width), where, limit)
        [points] = self._sightings.nearest([query], [])
        scores = {UUID(str(point.id)): point.score for point in points}
        rows = self._sightings.fetch(scores)
        return [payloads.hit_from(rows[i], score) for i, score in scores.items() if i in rows]

    def mark_compared(self, ids: Collection[UUID]) -> None:
        self._sightings.set_fields(ids, payloads.compared_payload())

    def open_count(self) -> int:
        return self._sightings.count(filters.OPEN_SIGHTINGS, exact=False)

    def place_in_group(self, places: Mapping[UUID, GroupPlace | None]) -> None:
        for sighting_id, place in places.items():
            fields = payloads.group_payload(place)
            self._sightings.set_fields([sighting_id], fields, filters.OPEN_SIGHTINGS)

    def compare_anew(self, ids: Collection[UUID]) -> None:
        self._sightings.set_fields(ids, payloads.uncompared_payload(None), filters.OPEN_SIGHTINGS)

    def counts(self) -> GalleryCounts:
        return self._counts.get()

    def ping(self) -> None:
        self._vessels.count(filters.EVERYTHING, exact=False)
        self._sightings.count(filters.EVERYTHING, exact=False)

    def delete_open_sightings(self, ids: Collection[UUID]) -> None:
        if ids:
            for collection in self._sighting_collections():
                collection.delete(ids, filters.OPEN_SIGHTINGS)

    def close(self) -> None:
        self._counts.close()
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._vessels.name, None, VESSEL_INDEXES)
        ensure_collection(client, self._sightings.name, self._width, SIGHTING_INDEXES)
        self._layout.activate(client, self._bundle_id, replace=False)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Outdate the kept counts when the block ends, even if the change failed."""
        try:
            yield
        finally:
            self._counts.outdate()

    def _set_owner(
        self,
        ids: Collection[UUID] | None,
        where: filters.Condition,
        vessel: Vessel | None,
        more: Payload | None = None,
    ) -> None:
        owner = payloads.ownership_payload(vessel) | {ORPHANED: None} | (more or {})
        with self._change():
            for collection in self._sighting_collections():
                collection.set_fields(ids, owner, where)

    def _sighting_collections(self, rounds: int = 2) -> list[ServerCollection]:
        """List the sighting collections of all bundles, `rounds` times if there are several.

        Re-embedding copies a sighting from one collection to another and then checks whether the
        first collection still holds it unchanged. With one change of each collection, in either
        order, that check could come too early for one of them; the second round covers this case.
        """
        bundles = self._connection.call(self._layout.bundles)
        names = sorted({self._layout.sightings(one) for one in bundles} - {self._sightings.name})
        others = [ServerCollection(self._connection, name) for name in names]
        return [self._sightings, *others] * rounds if others else [self._sightings]

    def _read(self, wanted: Unread, records: SearchRecords) -> None:
        """Read vessels and sightings at the same time, from one copy each.

        The embeddings of the most similar ones are checked at the same time, see `require_intact`.
        """
        vessels, sightings, _ = self._connection.gather(
            lambda: self._vessels.fetch(wanted.vessels),
            lambda: self._sightings.fetch(wanted.sightings),
            lambda: self._embeddings.prefetch(wanted.embeddings),
        )
        records.add(wanted, vessels, sightings)

    def _count(self) -> GalleryCounts:
        """Count visible vessels and their sightings, in one round trip if no vessel is hidden."""
        owned = filters.Condition((filters.Known(payloads.VESSEL_ID),), (filters.Known(ORPHANED),))
        vessels, sightings, hidden = self._connection.gather(
            lambda: self._vessels.count(filters.Condition((VISIBLE,))),
            lambda: self._sightings.count(owned),
            lambda: [one for one, _ in self._vessels.scan(filters.Condition((), (VISIBLE,)), [])],
        )
        if hidden:
            of_hidden = filters.Condition((*owned.must, filters.of_vessels(hidden)), owned.must_not)
            sightings -= self._sightings.count(of_hidden)
        return GalleryCounts(vessels, sightings)


def _near(point: models.ScoredPoint) -> Near:
    payload = point.payload or {}
    return Near(UUID(str(point.id)), UUID(payload[payloads.VESSEL_ID]), point.score)
