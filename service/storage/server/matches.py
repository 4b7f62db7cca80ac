"""Match records on a Qdrant server, shared by any number of replicas.

One collection without vectors, written as the vessels are: a write waits until it is applied and is
strongly ordered. The collection is created on first use.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord
from service.storage.points.filters import Condition
from service.storage.points.match_payloads import (
    STILL_UNSETTLED,
    every_match,
    listed_matches,
    match_from,
    match_page,
    match_payload,
    point_id,
)
from service.storage.points.payloads import Payload
from service.storage.server.connection import as_filter, connect, ensure_collection, translated
from service.storage.server.layout import MATCH_INDEXES, STRONG, Layout


def open_server_matches(
    client_or_url: QdrantClient | str,
    api_key: str | None = None,
    timeout_s: float = 5.0,
    prefix: str = "crossfix",
) -> "ServerMatchStore":
    """Matches on a server; the server is first spoken to when they are first used.

    Args:
        client_or_url: the server's address, or a client to use as it is.
        api_key: sent with every request.
        timeout_s: after this long a request counts as unanswered.
        prefix: begins the name of the collection.
    """
    if isinstance(client_or_url, str):
        client = connect(client_or_url, api_key, timeout_s)
        return ServerMatchStore(client, client_or_url, prefix)
    return ServerMatchStore(client_or_url, "the given client", prefix)


class ServerMatchStore:
    """A `MatchStore`. Every call is one or a few requests; nothing is kept here."""

    def __init__(self, client: QdrantClient, address: str, prefix: str) -> None:
        """Use `open_server_matches`."""
        self._client = client
        self._address = address
        self._collection = Layout(prefix).matches
        self._preparing = threading.Lock()
        self._prepared = False
        self._closed = False

    def put(self, kept: MatchRecord) -> None:
        point = models.PointStruct(
            id=str(point_id(kept.id)), vector={}, payload=match_payload(kept)
        )
        with self._asking() as client:
            client.upsert(self._collection, [point], wait=True, ordering=STRONG)

    def get(self, match_id: UUID) -> MatchRecord | None:
        with self._asking() as client:
            found = client.retrieve(self._collection, [str(point_id(match_id))], with_payload=True)
        return match_from(found[0].payload or {}) if found else None

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        condition = listed_matches(where)
        return match_page(lambda start, n: self._fetch(condition, start, n), limit, cursor)

    def unsettled(self) -> list[MatchRecord]:
        return list(every_match(lambda start, n: self._fetch(STILL_UNSETTLED, start, n)))

    def all(self) -> Iterator[MatchRecord]:
        return every_match(lambda start, n: self._fetch(Condition(), start, n))

    def ping(self) -> None:
        with self._asking() as client:
            client.count(self._collection, exact=False)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._client.close()

    @contextmanager
    def _asking(self) -> Iterator[QdrantClient]:
        """The client, with the collection in place and its errors translated."""
        if self._closed:
            raise StoreUnavailableError("the match history was closed")
        with translated(self._address):
            if not self._prepared:
                self._prepare()
            yield self._client

    def _prepare(self) -> None:
        with self._preparing:
            ensure_collection(self._client, self._collection, None, MATCH_INDEXES)
            self._prepared = True

    def _fetch(self, where: Condition, start: UUID | None, limit: int) -> Sequence[Payload]:
        with self._asking() as client:
            records, _ = client.scroll(
                self._collection,
                scroll_filter=as_filter(where),
                limit=limit,
                offset=None if start is None else str(start),
                with_payload=True,
            )
        return [record.payload or {} for record in records]
