"""The whole embedded gallery, every bundle included, for upgrades and backups.

Holds the folder's lock: no service can have the gallery open meanwhile.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import qdrant_edge as edge

from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.storage.edge.folder import (
    NO_VECTOR,
    activate_bundle,
    active_bundle,
    bundles_in,
    lock_folder,
    open_sightings,
    open_vessels,
)
from service.storage.edge.shard import DEFAULT_MIN_FREE_BYTES, Shard
from service.storage.points import payloads
from service.storage.points.filters import AnyOf, Condition, Known


class EdgeArchive:
    """A `GalleryArchive`; for one thread."""

    def __init__(self, folder: Path, min_free_bytes: int = DEFAULT_MIN_FREE_BYTES) -> None:
        """Lock and open the folder, creating it where needed.

        Raises:
            StoreUnavailableError: another process has it open, or it is damaged.
            StoreFullError: the disk is full.
        """
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._lock: int | None = lock_folder(folder)
        self._opened: dict[str, Shard] = {}
        try:
            self._vessels = open_vessels(folder, min_free_bytes)
        except BaseException:
            os.close(self._lock)
            raise

    def bundles(self) -> dict[str, int]:
        return bundles_in(self._folder)

    def prepare(self, bundle_id: str, width: int) -> None:
        slug = payloads.bundle_slug(bundle_id)
        if slug not in self._opened:
            opened = open_sightings(self._folder, slug, width, self._min_free_bytes)
            self._opened[slug] = opened

    def active(self) -> str | None:
        return active_bundle(self._folder)

    def activate(self, bundle_id: str) -> None:
        activate_bundle(self._folder, bundle_id)

    def vessels(self) -> Iterator[Vessel]:
        for _, row in self._vessels.scan(Condition()):
            yield payloads.vessel_from(row)

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        rows = self._vessels.retrieve(list(ids))
        return {vessel.id: vessel for vessel in map(payloads.vessel_from, rows)}

    def put_vessels(self, vessels: Sequence[Vessel]) -> None:
        points = [edge.Point(v.id, NO_VECTOR, payloads.vessel_payload(v)) for v in vessels]
        if points:
            self._vessels.apply(edge.UpdateOperation.upsert_points(points))
            self._vessels.settle()

    def sighting_ids(self, bundle_id: str) -> set[UUID]:
        rows = self._shard(bundle_id).scan(Condition(), [payloads.CHIP])
        return {sighting_id for sighting_id, _ in rows}

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        settled = Condition(must_not=(Known(payloads.TENTATIVE),))
        for vector, row in self._shard(bundle_id).rows(settled):
            yield EmbeddedSighting(payloads.sighting_from(row), vector)

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        rows = self._shard(bundle_id).retrieve(list(ids))
        return {one.id: one for one in map(payloads.sighting_from, rows)}

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        payloads.check_bundle(sightings, bundle_id)
        width = self.bundles()[payloads.bundle_slug(bundle_id)]
        points = [
            edge.Point(
                one.sighting.id,
                payloads.check_vector(one.vector, width),
                payloads.sighting_payload(one.sighting, payloads.owner_of(one, owners))
                | payloads.tentative_payload(tentative),
            )
            for one in sightings
        ]
        if points:
            self._shard(bundle_id).apply(edge.UpdateOperation.upsert_points(points))
            self._shard(bundle_id).settle()

    def tentative(self, bundle_id: str) -> set[UUID]:
        marked = Condition((Known(payloads.TENTATIVE),))
        return {i for i, _ in self._shard(bundle_id).scan(marked, [payloads.CHIP])}

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        there = list(self.get_sightings(bundle_id, ids))
        if there:
            plain = {payloads.TENTATIVE: None}
            self._shard(bundle_id).apply(edge.UpdateOperation.set_payload([*there], plain))
            self._shard(bundle_id).settle()

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        self.delete_sightings(bundle_id, self.tentative(bundle_id) & set(ids))

    def chips_shown(self) -> set[str]:
        return {
            str(row[payloads.CHIP])
            for bundle in self.bundles()
            for _, row in self._shard(bundle).scan(Condition(), [payloads.CHIP])
        }

    def uses_chip(self, chip_sha256: str) -> bool:
        shown = Condition((AnyOf(payloads.CHIP, [chip_sha256]),))
        return any(self._shard(bundle).count(shown) for bundle in self.bundles())

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        there = list(self.get_sightings(bundle_id, ids))
        if there:
            self._shard(bundle_id).apply(edge.UpdateOperation.delete_points([*there]))
            self._shard(bundle_id).settle()

    def close(self) -> None:
        if self._lock is None:
            return
        for shard in (self._vessels, *self._opened.values()):
            shard.close()
        os.close(self._lock)
        self._lock = None

    def _shard(self, bundle_id: str) -> Shard:
        slug = payloads.bundle_slug(bundle_id)
        if slug not in self._opened:
            self.prepare(slug, self.bundles()[slug])
        return self._opened[slug]
