"""Match records on a Qdrant server, shared by any number of replicas."""

from collections.abc import Collection, Iterator
from datetime import datetime
from uuid import UUID

from qdrant_client import QdrantClient

from service.identity.records.checks import RecordCheck
from service.identity.records.match_records import MatchRecord
from service.storage.points.checking import check_matches
from service.storage.points.expiry import (
    UNJUDGED_MATCHES,
    unannounced_matches,
    unjudged_matches,
)
from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.match_payloads import PagedMatches, match_from, match_point, point_id
from service.storage.points.payloads import Payload
from service.storage.points.search_upgrade import make_matches_searchable
from service.storage.server.collection import ServerCollection
from service.storage.server.connection import ServerConnection
from service.storage.server.layout import DEFAULT_PREFIX, MATCH_INDEXES, Layout
from service.storage.server.preparing import PreparedPoints, ensure_collection


class ServerMatchStore(PagedMatches):
    """A `MatchStore` in one collection without vectors, created when it is first used."""

    def __init__(self, connection: ServerConnection, prefix: str = DEFAULT_PREFIX) -> None:
        """Use a connection, which `close` closes; send nothing yet."""
        self._matches = ServerCollection(connection, Layout(prefix).matches)
        self._connection = connection
        connection.on_first_use(self._prepare)

    def put(self, record: MatchRecord) -> None:
        self._matches.put([match_point(record)])

    def get(self, match_id: UUID) -> MatchRecord | None:
        rows = self._matches.retrieve([point_id(match_id)])
        return match_from(rows[0]) if rows else None

    def ping(self) -> None:
        self._matches.count(EVERYTHING, exact=False)

    def unannounced(self) -> list[UUID]:
        return unannounced_matches(self._matches)

    def unjudged(self, before: datetime | None, beyond: int | None) -> list[UUID]:
        return unjudged_matches(self._matches, before, beyond)

    def delete_unjudged(self, ids: Collection[UUID]) -> int:
        points = [point_id(i) for i in ids]
        self._matches.delete(points, UNJUDGED_MATCHES)
        return len(points) - len(self._matches.retrieve(points))

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return check_matches(self._matches)

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._matches.name, None, MATCH_INDEXES)
        make_matches_searchable(PreparedPoints(client, self._matches.name))

    def _fetch(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        return self._matches.page(where, start, limit)
