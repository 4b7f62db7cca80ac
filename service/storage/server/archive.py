"""The whole gallery on a Qdrant server, the sightings of every bundle included.

Services may use the gallery at the same time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.storage.points import payloads
from service.storage.points.filters import (
    CONFIRMED_SIGHTINGS,
    TENTATIVE_SIGHTINGS,
    shows_chip,
)
from service.storage.server.connection import ServerConnection, ensure_collection, with_ids
from service.storage.server.filters import as_filter
from service.storage.server.gallery import sighting_structs, vessel_point
from service.storage.server.layout import (
    DEFAULT_PREFIX,
    SIGHTING_INDEXES,
    VESSEL_INDEXES,
    Layout,
)

ARCHIVE_TIMEOUT_S = 60.0


class ServerArchive:
    """A `GalleryArchive`."""

    def __init__(
        self,
        client_or_url: QdrantClient | str,
        api_key: str | None = None,
        *,
        timeout_s: float = ARCHIVE_TIMEOUT_S,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Reach the server; see `ServerGallery` for the arguments.

        Raises:
            StoreUnavailableError: the server does not answer.
        """
        self._layout = Layout(prefix)
        self._vessels = self._layout.vessels
        self._connection = ServerConnection(client_or_url, api_key, timeout_s, self._prepare)
        with self._connection.client():
            pass

    def bundles(self) -> dict[str, int]:
        with self._connection.client() as client:
            bundles = self._layout.bundles(client)
        return {bundle: self._width(self._layout.sightings(bundle)) for bundle in bundles}

    def prepare(self, bundle_id: str, width: int) -> None:
        with self._connection.client() as client:
            ensure_collection(client, self._layout.sightings(bundle_id), width, SIGHTING_INDEXES)

    def active(self) -> str | None:
        with self._connection.client() as client:
            return self._layout.active(client)

    def activate(self, bundle_id: str) -> None:
        with self._connection.client() as client:
            self._layout.activate(client, bundle_id)

    def vessels(self) -> Iterator[Vessel]:
        for record in self._connection.scan(self._vessels):
            yield payloads.vessel_from(record.payload or {})

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        return payloads.vessels_by_id(self._connection.retrieve(self._vessels, ids))

    def put_vessels(self, vessels: Sequence[Vessel]) -> None:
        self._connection.upsert(self._vessels, [vessel_point(vessel) for vessel in vessels])

    def sighting_ids(self, bundle_id: str) -> set[UUID]:
        records = self._connection.scan(self._layout.sightings(bundle_id), with_payload=False)
        return {UUID(str(record.id)) for record in records}

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        name = self._layout.sightings(bundle_id)
        for record in self._connection.scan(name, CONFIRMED_SIGHTINGS, with_vectors=True):
            vector: Any = record.vector
            sighting = payloads.sighting_from(record.payload or {})
            yield EmbeddedSighting(sighting, np.asarray(vector, dtype=np.float32))

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        rows = self._connection.retrieve(self._layout.sightings(bundle_id), ids)
        return payloads.sightings_by_id(rows)

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        name = self._layout.sightings(bundle_id)
        points = payloads.sighting_points(
            sightings, bundle_id, self._width(name), payloads.vessel_among(owners), tentative
        )
        self._connection.upsert(name, sighting_structs(points))

    def tentative(self, bundle_id: str) -> set[UUID]:
        name = self._layout.sightings(bundle_id)
        records = self._connection.scan(name, TENTATIVE_SIGHTINGS, with_payload=False)
        return {UUID(str(record.id)) for record in records}

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        if ids:
            name, unmarked = self._layout.sightings(bundle_id), {payloads.TENTATIVE: None}
            self._connection.set_payload(name, unmarked, with_ids(ids))

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        if ids:
            tentative = with_ids(ids, as_filter(TENTATIVE_SIGHTINGS))
            self._connection.delete(self._layout.sightings(bundle_id), tentative)

    def chips_shown(self) -> set[str]:
        return {
            str((record.payload or {})[payloads.CHIP])
            for bundle in self.bundles()
            for record in self._connection.scan(
                self._layout.sightings(bundle), with_payload=[payloads.CHIP]
            )
        }

    def uses_chip(self, chip_sha256: str) -> bool:
        where = shows_chip(chip_sha256)
        with self._connection.client() as client:
            bundles = self._layout.bundles(client)
        return any(self._connection.count(self._layout.sightings(one), where) for one in bundles)

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        if ids:
            self._connection.delete(self._layout.sightings(bundle_id), ids)

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._vessels, None, VESSEL_INDEXES)

    def _width(self, collection: str) -> int:
        with self._connection.client() as client:
            params = client.get_collection(collection).config.params.vectors
        if not isinstance(params, models.VectorParams):
            raise StoreUnavailableError(f"collection {collection} holds no plain vectors")
        return params.size
