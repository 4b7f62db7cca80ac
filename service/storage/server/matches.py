"""Match records on a Qdrant server, shared by any number of replicas."""

from uuid import UUID

from qdrant_client import QdrantClient, models

from service.identity.records.match_records import MatchRecord
from service.storage.points.filters import Condition
from service.storage.points.match_payloads import (
    PagedMatches,
    match_from,
    match_payload,
    point_id,
)
from service.storage.points.payloads import Payload
from service.storage.server.connection import (
    DEFAULT_TIMEOUT_S,
    ServerConnection,
    ensure_collection,
)
from service.storage.server.layout import DEFAULT_PREFIX, MATCH_INDEXES, Layout


class ServerMatchStore(PagedMatches):
    """A `MatchStore` in one collection without vectors, created when it is first used."""

    def __init__(
        self,
        client_or_url: QdrantClient | str,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Send nothing yet; see `ServerConnection` for the arguments, and `Layout` for `prefix`."""
        self._collection = Layout(prefix).matches
        self._connection = ServerConnection(client_or_url, api_key, timeout_s, self._prepare)

    def put(self, record: MatchRecord) -> None:
        point = models.PointStruct(
            id=str(point_id(record.id)), vector={}, payload=match_payload(record)
        )
        self._connection.upsert(self._collection, [point])

    def get(self, match_id: UUID) -> MatchRecord | None:
        rows = self._connection.retrieve(self._collection, [point_id(match_id)])
        return match_from(rows[0]) if rows else None

    def ping(self) -> None:
        with self._connection.client() as client:
            client.count(self._collection, exact=False)

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._collection, None, MATCH_INDEXES)

    def _fetch(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        return self._connection.page(self._collection, where, start, limit)
