"""Match records on a Qdrant server, shared by any number of replicas."""

from qdrant_client import QdrantClient

from service.storage.points.filters import EVERYTHING
from service.storage.points.matches import PointMatches
from service.storage.server.collection import ServerCollection
from service.storage.server.connection import ServerConnection
from service.storage.server.layout import DEFAULT_PREFIX, MATCH_INDEXES, Layout
from service.storage.server.preparing import ensure_collection


class ServerMatchStore(PointMatches):
    """A `MatchStore` in one collection without vectors, created when it is first used."""

    _matches: ServerCollection

    def __init__(self, connection: ServerConnection, prefix: str = DEFAULT_PREFIX) -> None:
        """Use a connection, which `close` closes; send nothing yet."""
        self._matches = ServerCollection(connection, Layout(prefix).matches)
        self._connection = connection
        connection.on_first_use(self._prepare)

    def ping(self) -> None:
        self._matches.count(EVERYTHING, exact=False)

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._matches.name, None, MATCH_INDEXES)
