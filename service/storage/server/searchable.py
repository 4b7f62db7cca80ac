"""The points of a collection while the server is being prepared."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from qdrant_client import QdrantClient, models

from service.storage.points.filters import Condition
from service.storage.points.payloads import Payload
from service.storage.server.filters import as_filter

SCAN_BATCH = 512


class PreparedPoints:
    """The `UpgradedPoints` of a collection, through a client that is not open to others yet."""

    def __init__(self, client: QdrantClient, name: str) -> None:
        self._client = client
        self._name = name

    def scan(self, where: Condition) -> Iterator[tuple[UUID, Payload]]:
        """Yield id and payload of the points that satisfy the condition."""
        start: models.ExtendedPointId | None = None
        while True:
            rows, start = self._client.scroll(
                self._name, scroll_filter=as_filter(where), limit=SCAN_BATCH, offset=start
            )
            for row in rows:
                yield UUID(str(row.id)), row.payload or {}
            if start is None:
                return

    def set_fields_of_each(self, fields: Mapping[UUID, Payload]) -> None:
        """Set fields of the payload of each of these points."""
        changes: list[models.UpdateOperation] = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=payload, points=[str(point_id)])
            )
            for point_id, payload in fields.items()
        ]
        self._client.batch_update_points(self._name, changes, wait=True)
