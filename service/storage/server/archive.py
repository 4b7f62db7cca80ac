"""The whole gallery on a Qdrant server, the sightings of every bundle included.

Services may use the gallery at the same time.
"""

from collections.abc import Iterator
from contextlib import closing

from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.checks import RecordCheck
from service.storage.points.archive import PointArchive
from service.storage.points.checking import check_gallery, check_payloads
from service.storage.server.claims import claim_from
from service.storage.server.collection import ServerCollection
from service.storage.server.connection import ServerConnection
from service.storage.server.layout import DEFAULT_PREFIX, SIGHTING_INDEXES, VESSEL_INDEXES, Layout
from service.storage.server.preparing import ensure_collection


def active_bundle(connection: ServerConnection) -> str | None:
    """Return the bundle that is served; None before the gallery was first used.

    Creates nothing on the server, and closes the connection.

    Raises:
        StoreUnavailableError: the server does not answer.
    """
    with closing(connection):
        return connection.call(Layout().active)


class ServerArchive(PointArchive):
    """A `GalleryArchive`."""

    def __init__(self, connection: ServerConnection, prefix: str = DEFAULT_PREFIX) -> None:
        """Reach the server through a connection, which `close` closes.

        Raises:
            StoreUnavailableError: the server does not answer.
        """
        self._layout = Layout(prefix)
        self._vessels = ServerCollection(connection, self._layout.vessels)
        self._connection = connection
        connection.on_first_use(self._prepare)
        connection.call(lambda _: None)

    def bundles(self) -> dict[str, int]:
        def widths(client: QdrantClient) -> dict[str, int]:
            bundles = self._layout.bundles(client)
            return {bundle: _width(client, self._layout.sightings(bundle)) for bundle in bundles}

        return self._connection.call(widths)

    def prepare(self, bundle_id: str, width: int) -> None:
        name = self._layout.sightings(bundle_id)
        self._connection.call(
            lambda client: ensure_collection(client, name, width, SIGHTING_INDEXES)
        )

    def active(self) -> str | None:
        return self._connection.call(self._layout.active)

    def activate(self, bundle_id: str) -> None:
        self._connection.call(lambda client: self._layout.activate(client, bundle_id))

    def check_records(self) -> Iterator[list[RecordCheck]]:
        bundles = [self._sightings(bundle) for bundle in self.bundles()]
        yield from check_gallery(self._vessels, bundles)
        name = self._layout.claims
        if self._connection.call(lambda client: client.collection_exists(name)):
            claims = ServerCollection(self._connection, self._layout.claims)
            yield from check_payloads("claim", claims, claim_from)

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._layout.vessels, None, VESSEL_INDEXES)

    def _sightings(self, bundle_id: str) -> ServerCollection:
        return ServerCollection(self._connection, self._layout.sightings(bundle_id))


def _width(client: QdrantClient, collection: str) -> int:
    params = client.get_collection(collection).config.params.vectors
    if not isinstance(params, models.VectorParams):
        raise StoreUnavailableError(f"collection {collection} holds no plain vectors")
    return params.size
