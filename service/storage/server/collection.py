"""One collection on a Qdrant server."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.payloads import Payload, Point
from service.storage.server.connection import ServerConnection
from service.storage.server.filters import as_filter

SCAN_BATCH = 512
STRONG = models.WriteOrdering.STRONG

PointId = UUID | str | int | None


class ServerCollection:
    """A `PointCollection`. Safe to call from many threads.

    Writes return when they are applied, and are strongly ordered: every node of the server applies
    them in the same order. All methods raise the errors of `ServerConnection`.
    """

    def __init__(self, connection: ServerConnection, name: str) -> None:
        self.name = name
        self._connection = connection

    def retrieve(self, ids: Collection[UUID]) -> list[Payload]:
        if not ids:
            return []
        with self._connection.client() as client:
            records = client.retrieve(self.name, [str(i) for i in ids], with_payload=True)
        return [record.payload or {} for record in records]

    def retrieve_with_vectors(
        self, ids: Collection[UUID]
    ) -> list[tuple[NDArray[np.float32], Payload]]:
        if not ids:
            return []
        with self._connection.client() as client:
            records = client.retrieve(self.name, [str(i) for i in ids], with_vectors=True)
        vectors: list[Any] = [record.vector for record in records]
        return [
            (np.asarray(vector, dtype=np.float32), record.payload or {})
            for vector, record in zip(vectors, records, strict=True)
        ]

    def page(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        """Return at most `limit` payloads in order of id, from `start` on."""
        records, _ = self._scroll(where, start, limit)
        return [record.payload or {} for record in records]

    def scan(
        self, where: Condition = EVERYTHING, fields: list[str] | None = None
    ) -> Iterator[tuple[UUID, Payload]]:
        for record in self._scan(where, fields, False):
            yield UUID(str(record.id)), record.payload or {}

    def scan_with_vectors(
        self, where: Condition
    ) -> Iterator[tuple[UUID, NDArray[np.float32], Payload]]:
        for record in self._scan(where, None, True):
            vector: Any = record.vector
            yield UUID(str(record.id)), np.asarray(vector, dtype=np.float32), record.payload or {}

    def count(self, where: Condition) -> int:
        with self._connection.client() as client:
            return client.count(self.name, count_filter=as_filter(where), exact=True).count

    def put(self, points: Sequence[Point], **condition: Any) -> None:
        """Insert or replace points; `condition` holds further arguments of `client.upsert`."""
        structs = [
            models.PointStruct(id=str(one.id), vector=one.vector or {}, payload=one.payload)
            for one in points
        ]
        if structs:
            with self._connection.client() as client:
                client.upsert(self.name, structs, wait=True, ordering=STRONG, **condition)

    def set_fields(
        self, ids: Collection[UUID] | None, fields: Payload, where: Condition = EVERYTHING
    ) -> None:
        """Set fields of the payload of `ids`, or of all points, that satisfy the condition."""
        if ids is None or ids:
            points = _filter(ids, where)
            with self._connection.client() as client:
                client.set_payload(self.name, fields, points=points, wait=True, ordering=STRONG)

    def delete(self, ids: Collection[UUID], where: Condition | None = None) -> None:
        if ids:
            selector = (
                models.PointIdsList(points=[str(i) for i in ids])
                if where is None
                else models.FilterSelector(filter=_filter(ids, where))
            )
            with self._connection.client() as client:
                client.delete(self.name, selector, wait=True, ordering=STRONG)

    def _scan(
        self, where: Condition, fields: list[str] | None, with_vectors: bool
    ) -> Iterator[models.Record]:
        start: PointId = None
        while True:
            records, start = self._scroll(where, start, SCAN_BATCH, fields, with_vectors)
            yield from records
            if start is None:
                return

    def _scroll(
        self,
        where: Condition,
        start: PointId,
        limit: int,
        fields: list[str] | None = None,
        with_vectors: bool = False,
    ) -> tuple[list[models.Record], PointId]:
        """Return points in order of id from `start` on, and the id that starts the next page."""
        with self._connection.client() as client:
            return client.scroll(
                self.name,
                scroll_filter=as_filter(where),
                limit=limit,
                offset=None if start is None else str(start),
                with_payload=fields or True,
                with_vectors=with_vectors,
            )


def _filter(ids: Collection[UUID] | None, where: Condition) -> models.Filter:
    condition = as_filter(where)
    if ids is None:
        return condition
    among_ids = models.HasIdCondition(has_id=[str(i) for i in ids])
    must = condition.must if isinstance(condition.must, list) else []
    return models.Filter(must=[among_ids, *must], must_not=condition.must_not)
