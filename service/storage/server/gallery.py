"""The gallery on a Qdrant server, shared by any number of replicas.

Collections, indexes and alias are created on first use. A change of a sighting also changes the
embeddings that other bundles made of it.
"""

import itertools
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from service.identity.records.checks import RecordCheck
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    Sighting,
    SightingFilter,
    SightingHit,
    VesselHit,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState
from service.storage.points import payloads
from service.storage.points.checking import check_gallery, require_intact_embeddings
from service.storage.points.expiry import OPEN_SIGHTINGS, open_sightings
from service.storage.points.filters import (
    EVERYTHING,
    AnyOf,
    Clause,
    Condition,
    Known,
    in_state,
    of_vessels,
    shows_chip,
    sighting_clauses,
    vessel_condition,
)
from service.storage.points.paging import vessel_page
from service.storage.points.payloads import Payload
from service.storage.points.search_upgrade import make_vessels_searchable
from service.storage.server.collection import ServerCollection
from service.storage.server.connection import ServerConnection, ensure_collection
from service.storage.server.filters import as_filter
from service.storage.server.layout import (
    DEFAULT_PREFIX,
    ORPHANED,
    SIGHTING_INDEXES,
    VESSEL_INDEXES,
    Layout,
)
from service.storage.server.searchable import PreparedPoints

COUNTS_MAX_AGE_S = 2.0


class ServerGallery:
    """A `Gallery`. Every call is one request or a few; this object keeps nothing but counts."""

    def __init__(
        self,
        connection: ServerConnection,
        bundle_id: str,
        width: int,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Send nothing yet.

        Args:
            connection: the server; `close` closes it.
            bundle_id: the bundle whose embeddings are stored and searched.
            width: D, the embedding width of that bundle.
            prefix: begins the names of the collections and of the alias.
        """
        self._bundle_id = bundle_id
        self._width = width
        self._layout = Layout(prefix)
        self._vessels = ServerCollection(connection, self._layout.vessels)
        self._sightings = ServerCollection(connection, self._layout.sightings(bundle_id))
        self._connection = connection
        connection.on_first_use(self._prepare)
        self._changes = itertools.count(1)
        self._last_change = 0
        self._counts: tuple[float, int, GalleryCounts] | None = None

    def put_vessel(self, vessel: Vessel) -> None:
        with self._change():
            self._vessels.put([payloads.vessel_point(vessel)])

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        return payloads.vessels_by_id(self._vessels.retrieve(ids))

    def find_by_imo(self, imo: str) -> list[Vessel]:
        return self._vessels_where(Condition((AnyOf(payloads.IMO, [imo]),)))

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        return self._vessels_where(Condition((in_state(states),)))

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        condition = vessel_condition(where)
        return vessel_page(
            lambda start, count: self._vessels.page(condition, start, count),
            where.name,
            limit,
            cursor,
        )

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Delete the vessel's record; mark its sightings, so that `counts` can leave them out."""
        orphans = Condition((of_vessels([vessel_id]),))
        with self._change():
            for collection in self._sighting_collections():
                collection.set_fields(None, {ORPHANED: True}, orphans)
            self._vessels.delete([vessel_id])

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        self._upsert(sightings, vessel, replaceable=None)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        without_vessel = as_filter(Condition((), (Known(payloads.VESSEL_ID),)))
        self._upsert(sightings, None, replaceable=without_vessel)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        if ids:
            self._set_owner(ids, EVERYTHING, vessel, payloads.origin_payload(origin))

    def sync_vessel(self, vessel: Vessel) -> None:
        self._set_owner(None, Condition((of_vessels([vessel.id]),)), vessel)

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        rows = self._sightings.retrieve([sighting_id])
        return payloads.sighting_from(rows[0]) if rows else None

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        if not vessel_ids:
            return []
        rows = self._sightings.scan(Condition((of_vessels(vessel_ids),)))
        return payloads.sightings_by_time(row for _, row in rows)

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        if ids:
            with self._change():
                for collection in self._sighting_collections():
                    collection.delete(ids)

    def uses_chip(self, chip_sha256: str) -> bool:
        where = shows_chip(chip_sha256)
        return any(one.count(where) for one in self._sighting_collections(rounds=1))

    def search(
        self,
        vector: NDArray[np.float32],
        where: SightingFilter,
        vessels: int,
        sightings_per_vessel: int = 3,
    ) -> list[VesselHit]:
        query = payloads.check_vector(vector, self._width)
        clauses = sighting_clauses(where)
        found: list[VesselHit] = []
        excluded: set[UUID] = set()
        while len(found) < vessels:
            limit = vessels - len(found)
            condition = Condition(clauses, (of_vessels(excluded),) if excluded else ())
            groups = self._groups(query, condition, limit, sightings_per_vessel)
            records = self.get_vessels([vessel_id for vessel_id, _ in groups])
            found += [
                VesselHit(records[vessel_id], hits)
                for vessel_id, hits in groups
                if vessel_id in records and records[vessel_id].state.visible
            ]
            excluded.update(vessel_id for vessel_id, _ in groups)
            if len(groups) < limit:
                break
        return found

    def require_intact(self, ids: Collection[UUID]) -> None:
        require_intact_embeddings(self._sightings, ids)

    def counts(self) -> GalleryCounts:
        """Return counts at most `COUNTS_MAX_AGE_S` old that include all changes by this object."""
        cached, last_change = self._counts, self._last_change
        if cached is not None and cached[1] == last_change:
            counted_at, _, counts = cached
            if time.monotonic() - counted_at < COUNTS_MAX_AGE_S:
                return counts
        counted_at = time.monotonic()
        visible = in_state([state for state in VesselState if state.visible])
        hidden = [vessel.id for vessel in self._vessels_where(Condition((), (visible,)))]
        left_out: tuple[Clause, ...] = (Known(ORPHANED),)
        if hidden:
            left_out = (*left_out, of_vessels(hidden))
        owned = Condition((Known(payloads.VESSEL_ID),), left_out)
        counts = GalleryCounts(
            self._vessels.count(Condition((visible,))),
            self._sightings.count(owned),
        )
        self._counts = (counted_at, last_change, counts)
        return counts

    def ping(self) -> None:
        with self._connection.client() as client:
            client.count(self._vessels.name, exact=False)
            client.count(self._sightings.name, exact=False)

    def open_sightings(self, before: datetime | None, beyond: int | None) -> list[tuple[UUID, str]]:
        return open_sightings(self._sightings, before, beyond)

    def delete_open_sightings(self, ids: Collection[UUID]) -> None:
        if ids:
            with self._change():
                for collection in self._sighting_collections():
                    collection.delete(ids, OPEN_SIGHTINGS)

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return check_gallery(self._vessels, [self._sightings])

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._vessels.name, None, VESSEL_INDEXES)
        ensure_collection(client, self._sightings.name, self._width, SIGHTING_INDEXES)
        self._layout.activate(client, self._bundle_id, replace=False)
        make_vessels_searchable(PreparedPoints(client, self._vessels.name))

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Outdate the kept counts when the block ends, even if the change failed."""
        try:
            yield
        finally:
            self._last_change = next(self._changes)

    def _vessels_where(self, where: Condition) -> list[Vessel]:
        return [payloads.vessel_from(row) for _, row in self._vessels.scan(where)]

    def _upsert(
        self,
        sightings: Sequence[EmbeddedSighting],
        vessel: Vessel | None,
        replaceable: models.Filter | None,
    ) -> None:
        """Insert the sightings; replace those that exist only if they pass the filter."""
        points = payloads.sighting_points(sightings, self._bundle_id, self._width, lambda _: vessel)
        with self._change():
            self._sightings.put(points, update_filter=replaceable)

    def _set_owner(
        self,
        ids: Collection[UUID] | None,
        where: Condition,
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
        with self._connection.client() as client:
            bundles = self._layout.bundles(client)
        names = sorted({self._layout.sightings(one) for one in bundles} - {self._sightings.name})
        others = [ServerCollection(self._connection, name) for name in names]
        return [self._sightings, *others] * rounds if others else [self._sightings]

    def _groups(
        self, query: list[float], where: Condition, limit: int, group_size: int
    ) -> list[tuple[UUID, list[SightingHit]]]:
        """Return vessel ids and their best sightings, best vessel first."""
        with self._connection.client() as client:
            groups = client.query_points_groups(
                self._sightings.name,
                group_by=payloads.VESSEL_ID,
                query=query,
                query_filter=as_filter(where),
                limit=limit,
                group_size=group_size,
                with_payload=True,
            ).groups
        return [
            (
                UUID(str(group.id)),
                [payloads.hit_from(point.payload or {}, point.score) for point in group.hits],
            )
            for group in groups
        ]
