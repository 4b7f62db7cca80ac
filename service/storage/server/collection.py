"""One collection on a Qdrant server."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.payloads import Payload, Point
from service.storage.server.connection import ServerConnection
from service.storage.server.filters import as_filter

SCAN_BATCH = 512
ORDERED = models.WriteOrdering.MEDIUM
"""Writes of a shard go through one of its living nodes, which the loss of a node replaces."""

AGREED = models.ReadConsistencyType.QUORUM
"""Half of the copies and one more answer, and all that answered hold the same record."""

READ_AGAIN_AFTER_S = (0.02, 0.1, 0.3, 0.6)
RESCORED = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0)
)
"""Twice as many candidates as are wanted are compared again, by their exact vectors."""

T = TypeVar("T")
PointId = UUID | str | int | None
Consistency = models.ReadConsistencyType | None


@dataclass(frozen=True, slots=True)
class NearestQuery:
    """A search for the `limit` points nearest to a vector, D floats of unit length."""

    vector: list[float]
    where: Condition
    limit: int


class ServerCollection:
    """A `PointCollection`. Safe to call from many threads.

    Writes return when they are applied to as many copies as the collection's write consistency
    factor says. `retrieve` and `select` read a majority of the copies, the others one;
    docs/shared-gallery.md shows which reads need that. All methods raise the errors of
    `ServerConnection`.
    """

    def __init__(self, connection: ServerConnection, name: str) -> None:
        self.name = name
        self._connection = connection

    def fetch(self, ids: Collection[UUID]) -> dict[UUID, Payload]:
        """Return the payloads of the points that exist among `ids`, as one copy holds them."""
        return self._retrieve(ids, None) if ids else {}

    def retrieve(self, ids: Collection[UUID]) -> list[Payload]:
        if not ids:
            return []
        found = self._retrieve(ids, AGREED)
        missing = [one for one in ids if one not in found]
        if missing and self._retrieve(missing, None):
            found |= _agreed(lambda consistency: self._retrieve(missing, consistency))
        return list(found.values())

    def fetch_with_vectors(
        self, ids: Collection[UUID], fields: list[str] | None = None
    ) -> dict[UUID, tuple[NDArray[np.float32], Payload]]:
        """Return vectors, float32 `[D]`, and payloads, or these fields, as one copy holds them."""
        if not ids:
            return {}
        wanted = [str(i) for i in ids]
        records = self._call(
            lambda client: client.retrieve(
                self.name, wanted, with_payload=fields or True, with_vectors=True
            )
        )
        vectors: list[Any] = [record.vector for record in records]
        return {
            UUID(str(record.id)): (np.asarray(vector, dtype=np.float32), record.payload or {})
            for vector, record in zip(vectors, records, strict=True)
        }

    def page(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        """Return at most `limit` payloads in order of id, from `start` on."""
        records, _ = self._scroll(where, start, limit)
        return [record.payload or {} for record in records]

    def select(self, where: Condition) -> list[Payload]:
        """Return the payloads of all points that satisfy the condition, as two copies agree.

        Reads all of them at once, so it is for few points.
        """

        def read(consistency: Consistency) -> dict[UUID, Payload]:
            rows = self._scan(where, None, False, consistency)
            return {UUID(str(row.id)): row.payload or {} for row in rows}

        return list(_agreed(read).values())

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

    def count(self, where: Condition, exact: bool = True) -> int:
        condition = as_filter(where)
        return self._call(
            lambda client: client.count(self.name, count_filter=condition, exact=exact).count
        )

    def values(self, field: str, where: Condition, limit: int) -> list[str]:
        """Return the values of an indexed keyword field, the most common first."""
        condition = as_filter(where)
        answer = self._call(
            lambda client: client.facet(self.name, field, facet_filter=condition, limit=limit)
        )
        return [str(hit.value) for hit in answer.hits]

    def any_copy_has(self, where: Condition) -> bool:
        """Return whether a point satisfies the condition, by any of the copies that are asked."""
        for consistency in (None, AGREED):
            if self._scroll(where, None, 1, [], consistency=consistency)[0]:
                return True
        return False

    def nearest(
        self, queries: Sequence[NearestQuery], fields: list[str]
    ) -> list[list[models.ScoredPoint]]:
        """Return for each query the nearest points, best first, in one request."""
        requests = [
            models.QueryRequest(
                query=one.vector,
                filter=as_filter(one.where),
                limit=one.limit,
                with_payload=fields or False,
                params=RESCORED,
            )
            for one in queries
        ]
        answers = self._call(lambda client: client.query_batch_points(self.name, requests))
        return [answer.points for answer in answers]

    def put(self, points: Sequence[Point], **condition: Any) -> None:
        """Insert or replace points; `condition` holds further arguments of `client.upsert`."""
        structs = [
            models.PointStruct(id=str(one.id), vector=one.vector or {}, payload=one.payload)
            for one in points
        ]
        if structs:
            self._write(
                lambda client: client.upsert(
                    self.name, structs, wait=True, ordering=ORDERED, **condition
                )
            )

    def set_fields(
        self, ids: Collection[UUID] | None, fields: Payload, where: Condition = EVERYTHING
    ) -> None:
        """Set fields of the payload of `ids`, or of all points, that satisfy the condition."""
        if ids is None or ids:
            points = _filter(ids, where)
            self._write(
                lambda client: client.set_payload(
                    self.name, fields, points=points, wait=True, ordering=ORDERED
                )
            )

    def delete(self, ids: Collection[UUID], where: Condition | None = None) -> None:
        if ids:
            selector = (
                models.PointIdsList(points=[str(i) for i in ids])
                if where is None
                else models.FilterSelector(filter=_filter(ids, where))
            )
            self._write(
                lambda client: client.delete(self.name, selector, wait=True, ordering=ORDERED)
            )

    def _call(self, operation: Callable[[QdrantClient], T], needs_most: bool = False) -> T:
        return self._connection.call(operation, needs_most)

    def _write(self, operation: Callable[[QdrantClient], object]) -> None:
        self._call(operation, needs_most=True)

    def _retrieve(self, ids: Collection[UUID], consistency: Consistency) -> dict[UUID, Payload]:
        wanted = [str(i) for i in ids]
        records = self._call(
            lambda client: client.retrieve(
                self.name, wanted, with_payload=True, consistency=consistency
            ),
            needs_most=consistency is not None,
        )
        return {UUID(str(record.id)): record.payload or {} for record in records}

    def _scan(
        self,
        where: Condition,
        fields: list[str] | None,
        with_vectors: bool,
        consistency: Consistency = None,
    ) -> Iterator[models.Record]:
        start: PointId = None
        while True:
            records, start = self._scroll(
                where, start, SCAN_BATCH, fields, with_vectors, consistency
            )
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
        consistency: Consistency = None,
    ) -> tuple[list[models.Record], PointId]:
        """Return points in order of id from `start` on, and the id that starts the next page."""
        condition = as_filter(where)
        found: tuple[list[models.Record], PointId] = self._call(
            lambda client: client.scroll(
                self.name,
                scroll_filter=condition,
                limit=limit,
                offset=None if start is None else str(start),
                with_payload=True if fields is None else fields or False,
                with_vectors=with_vectors,
                consistency=consistency,
            ),
            needs_most=consistency is not None,
        )
        return found


def _agreed(read: Callable[[Consistency], Mapping[UUID, Payload]]) -> dict[UUID, Payload]:
    """Return the points that most copies hold alike.

    A point that one copy holds and most do not hold alike is being written, or a write of it
    failed half-way. It is read again, and after a second taken as that copy has it: every
    acknowledged write is in every copy that answers, so both versions are allowed.
    """
    for wait_s in (*READ_AGAIN_AFTER_S, 0.0):
        alike = dict(read(AGREED))
        single = read(None)
        if single.keys() <= alike.keys():
            return alike
        time.sleep(random.uniform(0.5, 1.0) * wait_s)
    return {**single, **alike}


def _filter(ids: Collection[UUID] | None, where: Condition) -> models.Filter:
    condition = as_filter(where)
    if ids is None:
        return condition
    among_ids = models.HasIdCondition(has_id=[str(i) for i in ids])
    must = condition.must if isinstance(condition.must, list) else []
    return models.Filter(must=[among_ids, *must], must_not=condition.must_not)
