"""The whole gallery in points: what the archives of both adapters have in common."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.storage.points import payloads
from service.storage.points.filters import (
    CONFIRMED_SIGHTINGS,
    EVERYTHING,
    TENTATIVE_SIGHTINGS,
    Condition,
    shows_chip,
)
from service.storage.points.payloads import Payload, Point
from service.storage.points.record_digests import require_intact_vector

EmbeddedPoint = tuple[UUID, NDArray[np.float32], Payload]


class RecordCollection(Protocol):
    """The payloads of points on a server, in a shard or in a file; writes are durable on return."""

    def retrieve(self, ids: Collection[UUID]) -> list[Payload]:
        """Return the payloads of the points that exist among `ids`."""

    def scan(
        self, where: Condition = EVERYTHING, fields: list[str] | None = None
    ) -> Iterator[tuple[UUID, Payload]]:
        """Yield id and payload (or only these fields) of all points that satisfy the condition."""

    def put(self, points: Sequence[Point]) -> None:
        """Insert or replace points."""

    def delete(self, ids: Collection[UUID], where: Condition | None = None) -> None:
        """Delete those of `ids` that exist and satisfy the condition."""


class PagedCollection(RecordCollection, Protocol):
    """Records that are read page by page."""

    def page(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        """Return at most `limit` payloads in order of id, from `start` on."""


class PointCollection(RecordCollection, Protocol):
    """The points of a server's collection or of a shard."""

    def scan_with_vectors(self, where: Condition) -> Iterator[EmbeddedPoint]:
        """Yield id, vector, float32 `[D]`, and payload of all points that satisfy the condition."""

    def count(self, where: Condition) -> int:
        """Count the points that satisfy the condition, exactly."""

    def set_fields(self, ids: Collection[UUID], fields: Payload) -> None:
        """Set fields of the payload of those of `ids` that exist."""


class PointArchive(ABC):
    """The methods of a `GalleryArchive` that only read and write points."""

    _vessels: RecordCollection

    @abstractmethod
    def bundles(self) -> dict[str, int]: ...

    @abstractmethod
    def _sightings(self, bundle_id: str) -> PointCollection:
        """Return the sightings of a bundle."""

    def vessels(self) -> Iterator[Vessel]:
        for _, row in self._vessels.scan():
            yield payloads.vessel_from(row)

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        return payloads.vessels_by_id(self._vessels.retrieve(ids))

    def put_vessels(self, vessels: Sequence[Vessel]) -> None:
        self._vessels.put([payloads.vessel_point(vessel) for vessel in vessels])

    def sighting_ids(self, bundle_id: str) -> set[UUID]:
        return self._ids(bundle_id, EVERYTHING)

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        for _, vector, row in self._sightings(bundle_id).scan_with_vectors(CONFIRMED_SIGHTINGS):
            require_intact_vector(vector, row)
            yield EmbeddedSighting(payloads.sighting_from(row), vector)

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        return payloads.sightings_by_id(self._sightings(bundle_id).retrieve(ids))

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        width = self.bundles()[payloads.bundle_slug(bundle_id)]
        vessel_of = payloads.vessel_among(owners)
        points = payloads.sighting_points(sightings, bundle_id, width, vessel_of, tentative)
        self._sightings(bundle_id).put(points)

    def tentative(self, bundle_id: str) -> set[UUID]:
        return self._ids(bundle_id, TENTATIVE_SIGHTINGS)

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        self._sightings(bundle_id).set_fields(ids, {payloads.TENTATIVE: None})

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        self._sightings(bundle_id).delete(ids, TENTATIVE_SIGHTINGS)

    def chips_shown(self) -> set[str]:
        return {
            str(row[payloads.CHIP])
            for bundle in self.bundles()
            for _, row in self._sightings(bundle).scan(fields=[payloads.CHIP])
        }

    def uses_chip(self, chip_sha256: str) -> bool:
        where = shows_chip(chip_sha256)
        return any(self._sightings(bundle).count(where) for bundle in self.bundles())

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        self._sightings(bundle_id).delete(ids)

    def _ids(self, bundle_id: str, where: Condition) -> set[UUID]:
        rows = self._sightings(bundle_id).scan(where, [payloads.CHIP])
        return {sighting_id for sighting_id, _ in rows}
