"""The whole embedded gallery, the sightings of every bundle included.

It holds the lock of the folder: no service can have the gallery open at the same time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import qdrant_edge as edge

from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.storage.edge.folder import GalleryFolder
from service.storage.edge.gallery import edge_points
from service.storage.edge.shard import DEFAULT_MIN_FREE_BYTES, NO_VECTOR, Shard
from service.storage.points import payloads
from service.storage.points.filters import (
    CONFIRMED_SIGHTINGS,
    EVERYTHING,
    TENTATIVE_SIGHTINGS,
    Condition,
    shows_chip,
)


class EdgeArchive:
    """A `GalleryArchive`; for one thread."""

    def __init__(self, folder: Path, min_free_bytes: int = DEFAULT_MIN_FREE_BYTES) -> None:
        """Lock and open the folder, creating it where needed.

        Raises:
            StoreUnavailableError: another process has it open, or it is damaged.
            StoreFullError: the disk is full.
        """
        self._folder = GalleryFolder(folder, min_free_bytes)
        self._vessels = self._folder.vessels

    def bundles(self) -> dict[str, int]:
        return self._folder.bundles()

    def prepare(self, bundle_id: str, width: int) -> None:
        self._folder.sightings(bundle_id, width)

    def active(self) -> str | None:
        return self._folder.active()

    def activate(self, bundle_id: str) -> None:
        self._folder.activate(bundle_id)

    def vessels(self) -> Iterator[Vessel]:
        for _, row in self._vessels.scan():
            yield payloads.vessel_from(row)

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        return payloads.vessels_by_id(self._vessels.retrieve(list(ids)))

    def put_vessels(self, vessels: Sequence[Vessel]) -> None:
        points = [edge.Point(v.id, NO_VECTOR, payloads.vessel_payload(v)) for v in vessels]
        if points:
            _write(self._vessels, edge.UpdateOperation.upsert_points(points))

    def sighting_ids(self, bundle_id: str) -> set[UUID]:
        return self._ids(bundle_id, EVERYTHING)

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        shard = self._folder.sightings(bundle_id)
        for vector, row in shard.scan_with_vectors(CONFIRMED_SIGHTINGS):
            yield EmbeddedSighting(payloads.sighting_from(row), vector)

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        return payloads.sightings_by_id(self._folder.sightings(bundle_id).retrieve(list(ids)))

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        width = self.bundles()[payloads.bundle_slug(bundle_id)]
        points = payloads.sighting_points(
            sightings, bundle_id, width, payloads.vessel_among(owners), tentative
        )
        if points:
            operation = edge.UpdateOperation.upsert_points(edge_points(points))
            _write(self._folder.sightings(bundle_id), operation)

    def tentative(self, bundle_id: str) -> set[UUID]:
        return self._ids(bundle_id, TENTATIVE_SIGHTINGS)

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        existing = list(self.get_sightings(bundle_id, ids))
        if existing:
            unmarked = {payloads.TENTATIVE: None}
            operation = edge.UpdateOperation.set_payload([*existing], unmarked)
            _write(self._folder.sightings(bundle_id), operation)

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        self.delete_sightings(bundle_id, self.tentative(bundle_id) & set(ids))

    def chips_shown(self) -> set[str]:
        return {
            str(row[payloads.CHIP])
            for bundle in self.bundles()
            for _, row in self._folder.sightings(bundle).scan(fields=[payloads.CHIP])
        }

    def uses_chip(self, chip_sha256: str) -> bool:
        where = shows_chip(chip_sha256)
        return any(self._folder.sightings(bundle).count(where) for bundle in self.bundles())

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        existing = list(self.get_sightings(bundle_id, ids))
        if existing:
            operation = edge.UpdateOperation.delete_points([*existing])
            _write(self._folder.sightings(bundle_id), operation)

    def close(self) -> None:
        self._folder.close()

    def _ids(self, bundle_id: str, where: Condition) -> set[UUID]:
        rows = self._folder.sightings(bundle_id).scan(where, [payloads.CHIP])
        return {sighting_id for sighting_id, _ in rows}


def _write(shard: Shard, operation: edge.UpdateOperation) -> None:
    """Apply an operation and make it durable."""
    shard.apply(operation)
    shard.sync()
