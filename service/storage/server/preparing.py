"""Create the collections and payload indexes that are missing, while other replicas do the same.

A cluster takes a moment to create a collection on all nodes. Until then its nodes answer that it
does not exist, or that no copy can be read; that is waited for.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from service.identity.errors import StoreUnavailableError
from service.storage.server.failures import may_pass
from service.storage.server.layout import IndexSchema

CONFLICT = 409
USABLE_WITHIN_S = 30.0
LOOK_EVERY_S = 0.2

QUANTIZATION = models.ScalarQuantization(
    scalar=models.ScalarQuantizationConfig(
        type=models.ScalarType.INT8, quantile=0.99, always_ram=True
    )
)
"""One byte a number, in memory, to find candidates; the vectors on disk decide their order.

The quantile leaves out the outermost hundredth of the numbers, which would coarsen all others.
"""

T = TypeVar("T")


def ensure_collection(
    client: QdrantClient, name: str, width: int | None, indexes: Mapping[str, IndexSchema]
) -> None:
    """Create the collection and the payload indexes that are missing, and wait for both.

    Args:
        width: D of its vectors; None for a collection without vectors.

    Raises:
        StoreUnavailableError: the collection exists with vectors of another width.
    """
    if not client.collection_exists(name):
        _create(client, name, width)
    info = _when_usable(lambda: client.get_collection(name))
    if width is not None:
        _require_width(name, info, width)
    missing = [field for field in indexes if field not in info.payload_schema]
    for field in missing:
        schema = indexes[field]
        _when_usable(
            lambda field=field, schema=schema: client.create_payload_index(  # type: ignore[misc]
                name, field, field_schema=schema, wait=True
            )
        )
    if missing:
        # Also the first write waits until a copy of each shard can be read.
        _when_usable(lambda: client.scroll(name, limit=1, with_payload=False))


def _create(client: QdrantClient, name: str, width: int | None) -> None:
    """Create a collection whose payload, and whose exact vectors, are on disk."""
    options: dict[str, Any] = {"vectors_config": {}}
    if width is not None:
        options = {
            "vectors_config": models.VectorParams(
                size=width, distance=models.Distance.DOT, on_disk=True
            ),
            "quantization_config": QUANTIZATION,
        }
    try:
        client.create_collection(name, on_disk_payload=True, **options)
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


def _when_usable(ask: Callable[[], T]) -> T:
    """Ask until the server no longer answers that the collection is being created."""
    deadline = time.monotonic() + USABLE_WITHIN_S
    while True:
        try:
            return ask()
        except UnexpectedResponse as error:
            if not may_pass(error) or time.monotonic() > deadline:
                raise
        time.sleep(LOOK_EVERY_S)
