"""The connection to a Qdrant server: prepared on first use, with its errors translated."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.payloads import Payload
from service.storage.server.filters import as_filter

SCAN_BATCH = 512
DEFAULT_TIMEOUT_S = 5.0
CONFLICT = 409
REFUSED = (401, 403)
FULL_WORDS = (b"No space left", b"disk space", b"out of disk")

PointId = UUID | str | int | None


def connect(url: str, api_key: str | None, timeout_s: float) -> QdrantClient:
    """Return a client that has not sent a request yet.

    The key is passed as a header: for `api_key` the client would warn of `http`, which is the
    operator's choice, and `warnings.catch_warnings` is not safe between threads.
    """
    return QdrantClient(
        url=url,
        headers={} if api_key is None else {"api-key": api_key},
        timeout=max(1, round(timeout_s)),
        check_compatibility=False,
    )


class ServerConnection:
    """A connection to a Qdrant server. Safe to call from many threads.

    Writes return when they are applied, and are strongly ordered: every node of the server applies
    them in the same order. All methods raise StoreUnavailableError when the server does not answer
    or refuses, and StoreFullError when its disk is full.
    """

    def __init__(
        self,
        client_or_url: QdrantClient | str,
        api_key: str | None,
        timeout_s: float,
        prepare: Callable[[QdrantClient], None],
    ) -> None:
        """Send nothing yet.

        Args:
            client_or_url: the server's address, or a client to use as it is.
            api_key: sent with every request.
            timeout_s: seconds after which a request counts as unanswered.
            prepare: creates what is missing on the server; called before the first request, by
                several threads and replicas at the same time.
        """
        if isinstance(client_or_url, str):
            self._client, self._address = connect(client_or_url, api_key, timeout_s), client_or_url
        else:
            self._client, self._address = client_or_url, "the given client"
        self._prepare = prepare
        self._preparing = threading.Lock()
        self._prepared = False
        self._closed = False

    @contextmanager
    def client(self) -> Iterator[QdrantClient]:
        """Yield the client with the server prepared; its errors are translated."""
        if self._closed:
            raise StoreUnavailableError(f"the connection to {self._address} was closed")
        with _translated_errors(self._address):
            if not self._prepared:
                with self._preparing:
                    self._prepare(self._client)
                    self._prepared = True
            yield self._client

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def retrieve(self, collection: str, ids: Collection[UUID]) -> list[Payload]:
        """Return the payloads of the points that exist among `ids`."""
        if not ids:
            return []
        with self.client() as client:
            records = client.retrieve(collection, [str(i) for i in ids], with_payload=True)
        return [record.payload or {} for record in records]

    def page(
        self, collection: str, where: Condition, start: UUID | None, limit: int
    ) -> list[Payload]:
        """Return at most `limit` payloads in order of id, from `start` on."""
        records, _ = self._scroll(collection, where, start, limit, True, False)
        return [record.payload or {} for record in records]

    def scan(
        self,
        collection: str,
        where: Condition = EVERYTHING,
        with_payload: bool | list[str] = True,
        with_vectors: bool = False,
    ) -> Iterator[models.Record]:
        """Yield every point that satisfies the condition, with these fields of its payload."""
        start: PointId = None
        while True:
            records, start = self._scroll(
                collection, where, start, SCAN_BATCH, with_payload, with_vectors
            )
            yield from records
            if start is None:
                return

    def count(self, collection: str, where: Condition) -> int:
        """Count the points that satisfy the condition, exactly."""
        with self.client() as client:
            return client.count(collection, count_filter=as_filter(where), exact=True).count

    def upsert(self, collection: str, points: list[models.PointStruct], **condition: Any) -> None:
        """Insert or replace points; `condition` holds further arguments of the client."""
        if points:
            with self.client() as client:
                client.upsert(
                    collection, points, wait=True, ordering=models.WriteOrdering.STRONG, **condition
                )

    def set_payload(self, collection: str, fields: Payload, points: models.Filter) -> None:
        """Set these fields of the payload of all points that pass the filter."""
        with self.client() as client:
            client.set_payload(
                collection,
                fields,
                points=points,
                wait=True,
                ordering=models.WriteOrdering.STRONG,
            )

    def delete(self, collection: str, points: Collection[UUID] | models.Filter) -> None:
        """Delete the points with these ids, or all that pass the filter."""
        selector = (
            models.FilterSelector(filter=points)
            if isinstance(points, models.Filter)
            else models.PointIdsList(points=[str(i) for i in points])
        )
        with self.client() as client:
            client.delete(collection, selector, wait=True, ordering=models.WriteOrdering.STRONG)

    def _scroll(
        self,
        collection: str,
        where: Condition,
        start: PointId,
        limit: int,
        with_payload: bool | list[str],
        with_vectors: bool,
    ) -> tuple[list[models.Record], PointId]:
        """Return points in order of id from `start` on, and the id that starts the next page."""
        with self.client() as client:
            return client.scroll(
                collection,
                scroll_filter=as_filter(where),
                limit=limit,
                offset=None if start is None else str(start),
                with_payload=with_payload,
                with_vectors=with_vectors,
            )


def with_ids(ids: Collection[UUID], *others: models.Condition) -> models.Filter:
    """Return the filter for the points with these ids that satisfy the other conditions, too."""
    return models.Filter(must=[models.HasIdCondition(has_id=[str(i) for i in ids]), *others])


def ensure_collection(
    client: QdrantClient,
    name: str,
    width: int | None,
    indexes: Mapping[str, models.PayloadSchemaType],
) -> None:
    """Create the collection and the payload indexes that are missing; replicas may race.

    Args:
        client: the server.
        name: the collection.
        width: D of its vectors; None for a collection without vectors.
        indexes: payload fields and how they are indexed.

    Raises:
        StoreUnavailableError: the collection exists with vectors of another width.
    """
    if not client.collection_exists(name):
        _create(client, name, width)
    info = client.get_collection(name)
    if width is not None:
        _require_width(name, info, width)
    for field, schema in indexes.items():
        if field not in info.payload_schema:
            client.create_payload_index(name, field, field_schema=schema, wait=True)


def _create(client: QdrantClient, name: str, width: int | None) -> None:
    vectors: Any = {}
    if width is not None:
        vectors = models.VectorParams(size=width, distance=models.Distance.DOT)
    try:
        client.create_collection(name, vectors_config=vectors)
    except UnexpectedResponse as error:
        if error.status_code != CONFLICT:
            raise


def _require_width(name: str, info: models.CollectionInfo, width: int) -> None:
    params = info.config.params.vectors
    stored = params.size if isinstance(params, models.VectorParams) else None
    if stored != width:
        raise StoreUnavailableError(
            f"collection {name} holds vectors of {stored} numbers, but the bundle makes {width}; "
            "the collection belongs to another bundle"
        )


@contextmanager
def _translated_errors(address: str) -> Iterator[None]:
    """Raise StoreFullError or StoreUnavailableError for an error of the server or the network."""
    try:
        yield
    except UnexpectedResponse as error:
        if any(words in error.content for words in FULL_WORDS):
            raise StoreFullError(f"the disk of the Qdrant server at {address} is full") from error
        if error.status_code in REFUSED:
            raise StoreUnavailableError(
                f"the Qdrant server at {address} refuses the API key; check CROSSFIX_QDRANT_API_KEY"
            ) from error
        raise StoreUnavailableError(
            f"the Qdrant server at {address} answered {error.status_code}: "
            f"{error.content[:300].decode(errors='replace')}"
        ) from error
    except (ResponseHandlingException, ResourceExhaustedResponse, OSError) as error:
        raise StoreUnavailableError(
            f"the Qdrant server at {address} does not answer: {error}"
        ) from error
    except (ValueError, AssertionError, AttributeError) as error:
        # The client raises these for a success without JSON, or without a result.
        raise StoreUnavailableError(
            f"what answers at {address} is no Qdrant server, or a broken one: {error}"
        ) from error
