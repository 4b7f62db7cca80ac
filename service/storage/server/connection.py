"""The connection to a Qdrant server: prepared on first use, with its errors translated."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from service.identity.errors import StoreFullError, StoreUnavailableError

DEFAULT_TIMEOUT_S = 5.0
CONFLICT = 409
REFUSED = (401, 403)
FULL_WORDS = (b"No space left", b"disk space", b"out of disk")


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
    """A connection to a Qdrant server, for one store. Safe to call from many threads."""

    def __init__(
        self,
        client_or_url: QdrantClient | str,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Send nothing yet.

        Args:
            client_or_url: the server's address, or a client to use as it is.
            api_key: sent with every request.
            timeout_s: seconds after which a request counts as unanswered.
        """
        if isinstance(client_or_url, str):
            self._client, self._address = connect(client_or_url, api_key, timeout_s), client_or_url
        else:
            self._client, self._address = client_or_url, "the given client"
        self._prepare: Callable[[QdrantClient], None] | None = None
        self._preparing = threading.Lock()
        self._closed = False

    def on_first_use(self, prepare: Callable[[QdrantClient], None]) -> None:
        """Call `prepare`, which creates what is missing on the server, before the first request.

        Several threads and replicas may call it at the same time; a failure is tried again.
        """
        self._prepare = prepare

    @contextmanager
    def client(self) -> Iterator[QdrantClient]:
        """Yield the client with the server prepared; its errors are translated.

        Raises:
            StoreUnavailableError: the server does not answer or refuses, or this was closed.
            StoreFullError: the disk of the server is full.
        """
        if self._closed:
            raise StoreUnavailableError(f"the connection to {self._address} was closed")
        with _translated_errors(self._address):
            if self._prepare is not None:
                with self._preparing:
                    if self._prepare is not None:
                        self._prepare(self._client)
                        self._prepare = None
            yield self._client

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._client.close()


def ensure_collection(
    client: QdrantClient,
    name: str,
    width: int | None,
    indexes: Mapping[str, models.PayloadSchemaType | models.KeywordIndexParams],
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
