"""The gallery in a folder, through Qdrant Edge in this process: nothing to install or run.

One process at a time. Vessels live in one shard, the sightings of each bundle in another. Every
writing method returns when the shard's log is on disk. What happens to a sighting happens to the
embeddings that other bundles made of it, too.
"""

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    Sighting,
    SightingFilter,
    SightingHit,
    VesselHit,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState
from service.storage.edge.counts import GalleryCounter
from service.storage.edge.folder import (
    NO_VECTOR,
    activate_bundle,
    active_bundle,
    bundles_in,
    lock_folder,
    open_sightings,
    open_vessels,
)
from service.storage.edge.shard import DEFAULT_MIN_FREE_BYTES, Shard, as_filter
from service.storage.points import payloads
from service.storage.points.filters import (
    AnyOf,
    Clause,
    Condition,
    enrolled_sightings,
    in_state,
    listed_vessels,
    of_vessels,
)
from service.storage.points.paging import vessel_page

SEARCH_BATCH = 64


def open_edge_gallery(
    folder: Path, bundle_id: str, width: int, min_free_bytes: int = DEFAULT_MIN_FREE_BYTES
) -> "EdgeGallery":
    """Open the gallery in `folder`, creating it where needed and replaying its log.

    Args:
        folder: see `edge_folder.py`.
        bundle_id: the bundle whose embeddings are stored and searched.
        width: D, the embedding width of that bundle.
        min_free_bytes: writes are refused with less disk space than this.

    Raises:
        StoreUnavailableError: another process has it open, or the folder is damaged.
        StoreFullError: the disk is full.
    """
    lock = lock_folder(folder)
    try:
        return EdgeGallery(folder, bundle_id, width, min_free_bytes, lock)
    except BaseException:
        os.close(lock)
        raise


class EdgeGallery:
    """A `Gallery`; calls from many threads take turns."""

    def __init__(
        self, folder: Path, bundle_id: str, width: int, min_free_bytes: int, lock: int
    ) -> None:
        """Use `open_edge_gallery`; `lock` is the file descriptor that it holds locked."""
        self._folder = folder
        self._bundle_id = bundle_id
        self._width = width
        self._process_lock: int | None = lock
        self._turn = threading.RLock()
        self._min_free_bytes = min_free_bytes
        self._vessels = open_vessels(folder, min_free_bytes)
        self._sightings = open_sightings(folder, bundle_id, width, min_free_bytes)
        self._opened_others: list[Shard] | None = None
        self._census = self._take_census()
        if active_bundle(folder) is None:
            activate_bundle(folder, bundle_id)

    def put_vessel(self, vessel: Vessel) -> None:
        point = edge.Point(vessel.id, NO_VECTOR, payloads.vessel_payload(vessel))
        with self._turn:
            self._vessels.apply(edge.UpdateOperation.upsert_points([point]))
            self._census.vessel_put(vessel.id, vessel.state)
        self._vessels.settle()

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        with self._turn:
            rows = self._vessels.retrieve(list(ids))
        return {vessel.id: vessel for vessel in map(payloads.vessel_from, rows)}

    def find_by_imo(self, imo: str) -> list[Vessel]:
        return self._all_vessels(AnyOf(payloads.IMO, [imo]))

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        return self._all_vessels(in_state(states))

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        condition = listed_vessels(where)
        with self._turn:
            return vessel_page(
                lambda start, count: self._vessels.page(condition, start, count),
                where.name,
                limit,
                cursor,
            )

    def delete_vessel(self, vessel_id: UUID) -> None:
        with self._turn:
            self._vessels.apply(edge.UpdateOperation.delete_points([vessel_id]))
            self._census.vessel_deleted(vessel_id)
        self._vessels.settle()

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        points = self._points(sightings, vessel)
        if not points:
            return
        with self._turn:
            self._sightings.apply(edge.UpdateOperation.upsert_points(points))
            ids = [one.sighting.id for one in sightings]
            self._census.sightings_put(ids, vessel.id if vessel else None)
        self._sightings.settle()

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        with self._turn:
            open_ones = [one for one in sightings if not self._census.owned(one.sighting.id)]
            self.put_sightings(open_ones, None)

    def move_sightings(self, ids: Sequence[UUID], vessel: Vessel | None) -> None:
        with self._turn:
            there = self._census.known_sightings(ids)
            if there:
                owner = payloads.ownership_payload(vessel)
                for shard, known in self._everywhere(there):
                    shard.apply(edge.UpdateOperation.set_payload([*known], owner))
                self._census.sightings_put(there, vessel.id if vessel else None)
        self._settle_all()

    def sync_vessel(self, vessel: Vessel) -> None:
        mine = as_filter(Condition((of_vessels([vessel.id]),)))
        owner = payloads.ownership_payload(vessel)
        with self._turn:
            for shard in (self._sightings, *self._others()):
                shard.apply(edge.UpdateOperation.set_payload_by_filter(mine, owner))
        self._settle_all()

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        with self._turn:
            rows = self._sightings.retrieve([sighting_id])
        return payloads.sighting_from(rows[0]) if rows else None

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        if not vessel_ids:
            return []
        with self._turn:
            rows = list(self._sightings.scan(Condition((of_vessels(vessel_ids),))))
        sightings = [payloads.sighting_from(row) for _, row in rows]
        return sorted(sightings, key=lambda sighting: (sighting.recorded_at, sighting.id))

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        with self._turn:
            there = self._census.known_sightings(ids)
            if there:
                for shard, known in self._everywhere(there):
                    shard.apply(edge.UpdateOperation.delete_points([*known]))
                self._census.sightings_deleted(there)
        self._settle_all()

    def uses_chip(self, chip_sha256: str) -> bool:
        shown = Condition((AnyOf(payloads.CHIP, [chip_sha256]),))
        with self._turn:
            return any(shard.count(shown) for shard in (self._sightings, *self._others()))

    def search(
        self,
        vector: NDArray[np.float32],
        where: SightingFilter,
        vessels: int,
        sightings_per_vessel: int = 3,
    ) -> list[VesselHit]:
        query = payloads.check_vector(vector, self._width)
        clauses = tuple(enrolled_sightings(where))
        with self._turn:
            best = self._best_vessels(query, clauses, vessels)
            records = self.get_vessels(best)
            answers = self._sightings.nearest(
                query,
                [(Condition((*clauses, of_vessels([v]))), sightings_per_vessel) for v in best],
            )
        return [
            VesselHit(
                records[vessel_id],
                [
                    SightingHit(payloads.sighting_from(row), max(-1.0, min(1.0, score)))
                    for score, row in answer
                ],
            )
            for vessel_id, answer in zip(best, answers, strict=True)
        ]

    def counts(self) -> GalleryCounts:
        with self._turn:
            return self._census.counts()

    def ping(self) -> None:
        with self._turn:
            for shard in (self._vessels, self._sightings):
                shard.ping()

    def close(self) -> None:
        with self._turn:
            if self._process_lock is None:
                return
            self._vessels.close()
            for shard in (self._sightings, *(self._opened_others or ())):
                shard.close()
            os.close(self._process_lock)
            self._process_lock = None

    def _points(
        self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None
    ) -> list[edge.Point]:
        payloads.check_bundle(sightings, self._bundle_id)
        return [
            edge.Point(
                one.sighting.id,
                payloads.check_vector(one.vector, self._width),
                payloads.sighting_payload(one.sighting, vessel),
            )
            for one in sightings
        ]

    def _others(self) -> list[Shard]:
        """The shards of other bundles' sightings, opened when first needed."""
        if self._opened_others is None:
            mine = payloads.bundle_slug(self._bundle_id)
            self._opened_others = [
                open_sightings(self._folder, other, width, self._min_free_bytes)
                for other, width in bundles_in(self._folder).items()
                if other != mine
            ]
        return self._opened_others

    def _everywhere(self, ids: Sequence[UUID]) -> Iterator[tuple[Shard, list[UUID]]]:
        """Each shard with those of these sightings that it holds; ids are known to be in mine."""
        yield self._sightings, list(ids)
        for shard in self._others():
            known = [payloads.sighting_from(row).id for row in shard.retrieve(ids)]
            if known:
                yield shard, known

    def _settle_all(self) -> None:
        self._sightings.settle()
        for shard in self._opened_others or ():
            shard.settle()

    def _best_vessels(
        self, query: list[float], clauses: tuple[Clause, ...], most: int
    ) -> list[UUID]:
        """Ids of the visible vessels with the most similar sightings, best first.

        Edge does not group, so vessels already seen are excluded and the search is repeated
        until enough were found or nothing is left.
        """
        best: list[UUID] = []
        seen: set[UUID] = set()
        while len(best) < most:
            unseen = Condition(clauses, (of_vessels(seen),) if seen else ())
            limit = max(SEARCH_BATCH, 2 * most)
            [hits] = self._sightings.nearest(query, [(unseen, limit)], [payloads.VESSEL_ID])
            for _, row in hits:
                owner = UUID(row[payloads.VESSEL_ID])
                if owner not in seen and self._census.visible(owner):
                    best.append(owner)
                seen.add(owner)
            if len(hits) < limit:
                break
        return best[:most]

    def _all_vessels(self, clause: Clause) -> list[Vessel]:
        with self._turn:
            rows = list(self._vessels.scan(Condition((clause,))))
        return [payloads.vessel_from(row) for _, row in rows]

    def _take_census(self) -> GalleryCounter:
        census = GalleryCounter()
        for vessel_id, row in self._vessels.scan(Condition(), [payloads.STATE]):
            census.vessel_put(vessel_id, VesselState(row[payloads.STATE]))
        for sighting_id, row in self._sightings.scan(Condition(), [payloads.VESSEL_ID]):
            owner = row.get(payloads.VESSEL_ID)
            census.sightings_put([sighting_id], UUID(owner) if owner else None)
        return census
