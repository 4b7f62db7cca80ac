"""The gallery on a Qdrant server, shared by any number of replicas.

Collections, indexes and alias are created on first use. Writes wait until they are applied and
are strongly ordered. What happens to a sighting happens to the embeddings that other bundles made
of it, too.
"""

import itertools
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
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
from service.storage.points.filters import (
    AnyOf,
    Clause,
    Condition,
    Known,
    enrolled_sightings,
    in_state,
    listed_vessels,
    of_vessels,
)
from service.storage.points.paging import vessel_page
from service.storage.points.payloads import Payload
from service.storage.server.connection import (
    as_filter,
    connect,
    ensure_alias,
    ensure_collection,
    translated,
)
from service.storage.server.layout import (
    ORPHANED,
    SIGHTING_INDEXES,
    STRONG,
    VESSEL_INDEXES,
    Layout,
)

SCROLL_BATCH = 1000
COUNTS_FRESH_S = 2.0


def open_server_gallery(
    client_or_url: QdrantClient | str,
    api_key: str | None = None,
    *,
    bundle_id: str,
    width: int,
    timeout_s: float = 5.0,
    prefix: str = "crossfix",
) -> "ServerGallery":
    """A gallery on a server; the server is first spoken to when the gallery is first used.

    Args:
        client_or_url: the server's address, or a client to use as it is.
        api_key: sent with every request.
        bundle_id: the bundle whose embeddings are stored and searched.
        width: D, the embedding width of that bundle.
        timeout_s: after this long a request counts as unanswered.
        prefix: begins the names of collections and alias.
    """
    if isinstance(client_or_url, str):
        client = connect(client_or_url, api_key, timeout_s)
        return ServerGallery(client, client_or_url, bundle_id, width, prefix)
    return ServerGallery(client_or_url, "the given client", bundle_id, width, prefix)


class ServerGallery:
    """A `Gallery`. Every call is one or a few requests; nothing but counts is kept here."""

    def __init__(
        self, client: QdrantClient, address: str, bundle_id: str, width: int, prefix: str
    ) -> None:
        """Use `open_server_gallery`."""
        self._client = client
        self._address = address
        self._bundle_id = bundle_id
        self._width = width
        self._layout = Layout(prefix)
        self._vessels = self._layout.vessels
        self._sightings = self._layout.sightings(bundle_id)
        self._preparing = threading.Lock()
        self._prepared = False
        self._closed = False
        self._changes = itertools.count(1)
        self._changed = 0
        self._counts: tuple[float, int, GalleryCounts] | None = None

    def put_vessel(self, vessel: Vessel) -> None:
        point = models.PointStruct(
            id=str(vessel.id), vector={}, payload=payloads.vessel_payload(vessel)
        )
        with self._asking() as client:
            client.upsert(self._vessels, [point], wait=True, ordering=STRONG)

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        rows = self._retrieve(self._vessels, ids)
        return {vessel.id: vessel for vessel in map(payloads.vessel_from, rows)}

    def find_by_imo(self, imo: str) -> list[Vessel]:
        rows = self._scan(self._vessels, Condition((AnyOf(payloads.IMO, [imo]),)))
        return [payloads.vessel_from(row) for row in rows]

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        rows = self._scan(self._vessels, Condition((in_state(states),)))
        return [payloads.vessel_from(row) for row in rows]

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        condition = listed_vessels(where)
        return vessel_page(
            lambda start, count: self._page(self._vessels, condition, start, count)[0],
            where.name,
            limit,
            cursor,
        )

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Sightings that are left over are marked, so that counting them out needs no join."""
        left = as_filter(Condition((of_vessels([vessel_id]),)))
        with self._asking() as client:
            for place in self._everywhere():
                client.set_payload(place, {ORPHANED: True}, points=left, wait=True, ordering=STRONG)
            client.delete(self._vessels, [str(vessel_id)], wait=True, ordering=STRONG)

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        self._upsert(sightings, vessel, instead_of=None)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        without_vessel = as_filter(Condition((), (Known(payloads.VESSEL_ID),)))
        self._upsert(sightings, None, instead_of=without_vessel)

    def move_sightings(self, ids: Sequence[UUID], vessel: Vessel | None) -> None:
        if ids:
            there = models.HasIdCondition(has_id=[str(i) for i in ids])
            self._set_owner(models.Filter(must=[there]), vessel)

    def sync_vessel(self, vessel: Vessel) -> None:
        self._set_owner(as_filter(Condition((of_vessels([vessel.id]),))), vessel)

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        rows = self._retrieve(self._sightings, [sighting_id])
        return payloads.sighting_from(rows[0]) if rows else None

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        if not vessel_ids:
            return []
        rows = self._scan(self._sightings, Condition((of_vessels(vessel_ids),)))
        return sorted(map(payloads.sighting_from, rows), key=lambda s: (s.recorded_at, s.id))

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        if ids:
            with self._asking() as client:
                for place in self._everywhere():
                    client.delete(place, [str(i) for i in ids], wait=True, ordering=STRONG)

    def uses_chip(self, chip_sha256: str) -> bool:
        shown = Condition((AnyOf(payloads.CHIP, [chip_sha256]),))
        with self._asking(changing=False):
            places = sorted(set(self._everywhere()))
        return any(self._count(place, shown) for place in places)

    def search(
        self,
        vector: NDArray[np.float32],
        where: SightingFilter,
        vessels: int,
        sightings_per_vessel: int = 3,
    ) -> list[VesselHit]:
        query = payloads.check_vector(vector, self._width)
        clauses = tuple(enrolled_sightings(where))
        found: list[VesselHit] = []
        seen: set[UUID] = set()
        while len(found) < vessels:
            wanted = vessels - len(found)
            groups = self._groups(query, clauses, seen, wanted, sightings_per_vessel)
            known = self.get_vessels([owner for owner, _ in groups])
            found += [
                VesselHit(known[owner], hits)
                for owner, hits in groups
                if owner in known and known[owner].state.visible
            ]
            seen.update(owner for owner, _ in groups)
            if len(groups) < wanted:
                break
        return found

    def counts(self) -> GalleryCounts:
        """At most two seconds old; changes made through this object are seen at once."""
        cached, changed = self._counts, self._changed
        if cached is not None and cached[1] == changed:
            asked_at, _, counts = cached
            if time.monotonic() - asked_at < COUNTS_FRESH_S:
                return counts
        asked_at = time.monotonic()
        visible = [state for state in VesselState if state.visible]
        hidden = self._scan(self._vessels, Condition((), (in_state(visible),)))
        hidden_ids = [payloads.vessel_from(row).id for row in hidden]
        out: tuple[Clause, ...] = (Known(ORPHANED),)
        if hidden_ids:
            out = (*out, of_vessels(hidden_ids))
        counts = GalleryCounts(
            self._count(self._vessels, Condition((in_state(visible),))),
            self._count(self._sightings, Condition((Known(payloads.VESSEL_ID),), out)),
        )
        self._counts = (asked_at, changed, counts)
        return counts

    def ping(self) -> None:
        with self._asking(changing=False) as client:
            client.count(self._vessels, exact=False)
            client.count(self._sightings, exact=False)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._client.close()

    @contextmanager
    def _asking(self, changing: bool = True) -> Iterator[QdrantClient]:
        """The client, with collections in place and its errors translated."""
        if self._closed:
            raise StoreUnavailableError("the gallery was closed")
        with translated(self._address):
            if not self._prepared:
                self._prepare()
            try:
                yield self._client
            finally:
                if changing:
                    self._changed = next(self._changes)

    def _prepare(self) -> None:
        with self._preparing:
            ensure_collection(self._client, self._vessels, None, VESSEL_INDEXES)
            ensure_collection(self._client, self._sightings, self._width, SIGHTING_INDEXES)
            ensure_alias(self._client, self._layout.alias, self._sightings)
            self._prepared = True

    def _retrieve(self, collection: str, ids: Collection[UUID]) -> list[Payload]:
        if not ids:
            return []
        with self._asking(changing=False) as client:
            records = client.retrieve(collection, [str(i) for i in ids], with_payload=True)
        return [record.payload or {} for record in records]

    def _page(
        self, collection: str, where: Condition, start: UUID | str | int | None, limit: int
    ) -> tuple[list[Payload], UUID | str | int | None]:
        """Payloads in order of id from `start` on, and where the next page starts."""
        with self._asking(changing=False) as client:
            records, following = client.scroll(
                collection,
                scroll_filter=as_filter(where),
                limit=limit,
                offset=str(start) if start is not None else None,
                with_payload=True,
            )
        return [record.payload or {} for record in records], following

    def _scan(self, collection: str, where: Condition) -> list[Payload]:
        rows, following = self._page(collection, where, None, SCROLL_BATCH)
        while following is not None:
            more, following = self._page(collection, where, following, SCROLL_BATCH)
            rows += more
        return rows

    def _count(self, collection: str, where: Condition) -> int:
        with self._asking(changing=False) as client:
            return client.count(collection, count_filter=as_filter(where), exact=True).count

    def _upsert(
        self,
        sightings: Sequence[EmbeddedSighting],
        vessel: Vessel | None,
        instead_of: models.Filter | None,
    ) -> None:
        """Insert the sightings; of those that are there, replace what passes the filter."""
        payloads.check_bundle(sightings, self._bundle_id)
        points = [
            models.PointStruct(
                id=str(one.sighting.id),
                vector=payloads.check_vector(one.vector, self._width),
                payload=payloads.sighting_payload(one.sighting, vessel),
            )
            for one in sightings
        ]
        if points:
            with self._asking() as client:
                client.upsert(
                    self._sightings, points, wait=True, ordering=STRONG, update_filter=instead_of
                )

    def _set_owner(self, points: models.Filter, vessel: Vessel | None) -> None:
        owner = payloads.ownership_payload(vessel) | {ORPHANED: None}
        with self._asking() as client:
            for place in self._everywhere():
                client.set_payload(place, owner, points=points, wait=True, ordering=STRONG)

    def _everywhere(self) -> list[str]:
        """The collections of all bundles, twice over where there are several.

        Re-embedding copies a sighting from one collection to another and then looks whether the
        first still holds it unchanged. Whatever the order of two single changes, it could look
        too early for one of them; the second round makes up for that.
        """
        mine = self._sightings
        others = {self._layout.sightings(b) for b in self._layout.bundles(self._client)} - {mine}
        return [mine, *sorted(others)] * 2 if others else [mine]

    def _groups(
        self,
        query: list[float],
        clauses: tuple[Clause, ...],
        seen: Collection[UUID],
        most: int,
        size: int,
    ) -> list[tuple[UUID, list[SightingHit]]]:
        """The best sightings grouped by vessel, best first, without the vessels in `seen`."""
        condition = Condition(clauses, (of_vessels(seen),) if seen else ())
        with self._asking(changing=False) as client:
            answer = client.query_points_groups(
                self._sightings,
                group_by=payloads.VESSEL_ID,
                query=query,
                query_filter=as_filter(condition),
                limit=most,
                group_size=size,
                with_payload=True,
            )
            groups = answer.groups
        return [(UUID(str(group.id)), [_hit(point) for point in group.hits]) for group in groups]


def _hit(point: models.ScoredPoint) -> SightingHit:
    sighting = payloads.sighting_from(point.payload or {})
    return SightingHit(sighting, max(-1.0, min(1.0, point.score)))
