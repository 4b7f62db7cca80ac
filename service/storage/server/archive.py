"""The whole gallery on a Qdrant server, every bundle included, for upgrades and backups.

Services may be at work on it meanwhile.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.storage.points import payloads
from service.storage.points.filters import AnyOf, Condition, Known
from service.storage.server.connection import as_filter, connect, ensure_collection, translated
from service.storage.server.layout import SIGHTING_INDEXES, STRONG, VESSEL_INDEXES, Layout

BATCH = 512


def open_server_archive(
    client_or_url: QdrantClient | str,
    api_key: str | None = None,
    *,
    timeout_s: float = 60.0,
    prefix: str = "crossfix",
) -> "ServerArchive":
    """The archive on a server; see `gallery_server.open_server_gallery` for the arguments.

    Raises:
        StoreUnavailableError: the server does not answer.
    """
    if isinstance(client_or_url, str):
        client = connect(client_or_url, api_key, timeout_s)
        return ServerArchive(client, client_or_url, prefix)
    return ServerArchive(client_or_url, "the given client", prefix)


class ServerArchive:
    """A `GalleryArchive`."""

    def __init__(self, client: QdrantClient, address: str, prefix: str) -> None:
        """Use `open_server_archive`."""
        self._client = client
        self._address = address
        self._layout = Layout(prefix)
        with translated(address):
            ensure_collection(client, self._layout.vessels, None, VESSEL_INDEXES)

    def bundles(self) -> dict[str, int]:
        with translated(self._address):
            return {
                bundle: self._width(self._layout.sightings(bundle))
                for bundle in self._layout.bundles(self._client)
            }

    def prepare(self, bundle_id: str, width: int) -> None:
        name = self._layout.sightings(bundle_id)
        with translated(self._address):
            ensure_collection(self._client, name, width, SIGHTING_INDEXES)

    def active(self) -> str | None:
        with translated(self._address):
            return self._layout.active(self._client)

    def activate(self, bundle_id: str) -> None:
        with translated(self._address):
            self._layout.activate(self._client, bundle_id)

    def vessels(self) -> Iterator[Vessel]:
        for record in self._scan(self._layout.vessels, True, False):
            yield payloads.vessel_from(record.payload or {})

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        rows = self._retrieve(self._layout.vessels, ids)
        return {vessel.id: vessel for vessel in map(payloads.vessel_from, rows)}

    def put_vessels(self, vessels: Sequence[Vessel]) -> None:
        self._upsert(
            self._layout.vessels,
            [
                models.PointStruct(id=str(v.id), vector={}, payload=payloads.vessel_payload(v))
                for v in vessels
            ],
        )

    def sighting_ids(self, bundle_id: str) -> set[UUID]:
        records = self._scan(self._layout.sightings(bundle_id), False, False)
        return {UUID(str(record.id)) for record in records}

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        settled = as_filter(Condition(must_not=(Known(payloads.TENTATIVE),)))
        for record in self._scan(self._layout.sightings(bundle_id), True, True, settled):
            vector: Any = record.vector
            sighting = payloads.sighting_from(record.payload or {})
            yield EmbeddedSighting(sighting, np.asarray(vector, dtype=np.float32))

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        rows = self._retrieve(self._layout.sightings(bundle_id), ids)
        return {one.id: one for one in map(payloads.sighting_from, rows)}

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        payloads.check_bundle(sightings, bundle_id)
        name = self._layout.sightings(bundle_id)
        with translated(self._address):
            width = self._width(name)
        self._upsert(
            name,
            [
                models.PointStruct(
                    id=str(one.sighting.id),
                    vector=payloads.check_vector(one.vector, width),
                    payload=payloads.sighting_payload(one.sighting, payloads.owner_of(one, owners))
                    | payloads.tentative_payload(tentative),
                )
                for one in sightings
            ],
        )

    def tentative(self, bundle_id: str) -> set[UUID]:
        marked = as_filter(Condition((Known(payloads.TENTATIVE),)))
        records = self._scan(self._layout.sightings(bundle_id), False, False, marked)
        return {UUID(str(record.id)) for record in records}

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        if ids:
            name, there = self._layout.sightings(bundle_id), models.Filter(must=[_among(ids)])
            plain = {payloads.TENTATIVE: None}
            self._ask(
                lambda client: client.set_payload(
                    name, plain, points=there, wait=True, ordering=STRONG
                )
            )

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        if ids:
            name = self._layout.sightings(bundle_id)
            marked = as_filter(Condition((Known(payloads.TENTATIVE),)))
            gone = models.FilterSelector(filter=models.Filter(must=[_among(ids), marked]))
            self._ask(lambda client: client.delete(name, gone, wait=True, ordering=STRONG))

    def chips_shown(self) -> set[str]:
        return {
            str((record.payload or {})[payloads.CHIP])
            for bundle in self.bundles()
            for record in self._scan(self._layout.sightings(bundle), [payloads.CHIP], False)
        }

    def uses_chip(self, chip_sha256: str) -> bool:
        shown = as_filter(Condition((AnyOf(payloads.CHIP, [chip_sha256]),)))
        with translated(self._address):
            return any(
                self._client.count(self._layout.sightings(bundle), shown, exact=True).count
                for bundle in self._layout.bundles(self._client)
            )

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        if ids:
            name = self._layout.sightings(bundle_id)
            gone = models.PointIdsList(points=[str(i) for i in ids])
            self._ask(lambda client: client.delete(name, gone, wait=True, ordering=STRONG))

    def close(self) -> None:
        self._client.close()

    def _width(self, collection: str) -> int:
        params = self._client.get_collection(collection).config.params.vectors
        if not isinstance(params, models.VectorParams):
            raise StoreUnavailableError(f"collection {collection} holds no plain vectors")
        return params.size

    def _ask(self, request: Callable[[QdrantClient], object]) -> None:
        with translated(self._address):
            request(self._client)

    def _upsert(self, collection: str, points: list[models.PointStruct]) -> None:
        if points:
            self._ask(lambda client: client.upsert(collection, points, wait=True, ordering=STRONG))

    def _retrieve(self, collection: str, ids: Collection[UUID]) -> list[dict[str, Any]]:
        if not ids:
            return []
        with translated(self._address):
            records = self._client.retrieve(collection, [str(i) for i in ids], with_payload=True)
        return [record.payload or {} for record in records]

    def _scan(
        self,
        collection: str,
        with_payload: bool | list[str],
        with_vectors: bool,
        where: models.Filter | None = None,
    ) -> Iterator[models.Record]:
        start: Any = None
        while True:
            with translated(self._address):
                records, start = self._client.scroll(
                    collection,
                    scroll_filter=where,
                    limit=BATCH,
                    offset=start,
                    with_payload=with_payload,
                    with_vectors=with_vectors,
                )
            yield from records
            if start is None:
                return


def _among(ids: Collection[UUID]) -> models.HasIdCondition:
    return models.HasIdCondition(has_id=[str(i) for i in ids])
