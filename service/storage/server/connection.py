"""A Qdrant server's collections: creating them, asking them, and naming what goes wrong."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.points.filters import (
    AnyOf,
    Before,
    BetweenOrUnknown,
    Clause,
    Condition,
    During,
    Known,
    Near,
)

CONFLICT = 409
REFUSED = (401, 403)
FULL_WORDS = (b"No space left", b"disk space", b"out of disk")


def connect(url: str, api_key: str | None, timeout_s: float) -> QdrantClient:
    """A client that has not spoken to the server yet.

    The key goes as the header that it is: given as `api_key` the client would warn of `http`, which
    is the operator's choice, and `warnings.catch_warnings` is not safe between threads.
    """
    return QdrantClient(
        url=url,
        headers={} if api_key is None else {"api-key": api_key},
        timeout=max(1, round(timeout_s)),
        check_compatibility=False,
    )


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


def ensure_alias(client: QdrantClient, alias: str, collection: str) -> None:
    """Point the alias to the collection unless it exists; moving it is a deliberate act."""
    if alias not in {one.alias_name for one in client.get_aliases().aliases}:
        create = models.CreateAlias(collection_name=collection, alias_name=alias)
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=create)])


def as_filter(where: Condition) -> models.Filter:
    return models.Filter(
        must=[_as_condition(clause) for clause in where.must] or None,
        must_not=[_as_condition(clause) for clause in where.must_not] or None,
    )


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Whatever the server or the network does becomes one of our errors."""
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
        # What the client says of a success without JSON, or without a result.
        raise StoreUnavailableError(
            f"what answers at {address} is no Qdrant server, or a broken one: {error}"
        ) from error


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


def _as_condition(clause: Clause) -> models.Condition:
    match clause:
        case AnyOf(key, words):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(words)))
        case BetweenOrUnknown(key, low, high):
            known = models.FieldCondition(key=key, range=models.Range(gte=low, lte=high))
            return models.Filter(should=[known, _unknown(key)])
        case During(key, start, end):
            span = models.DatetimeRange(gte=start, lte=end)
            return models.FieldCondition(key=key, range=span)
        case Before(key, end):
            return models.FieldCondition(key=key, range=models.DatetimeRange(lt=end))
        case Near(key, lat, lon, radius_m):
            disc = models.GeoRadius(center=models.GeoPoint(lat=lat, lon=lon), radius=radius_m)
            return models.FieldCondition(key=key, geo_radius=disc)
        case Known(key):
            return models.Filter(must_not=[_unknown(key)])


def _unknown(key: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
