"""One Qdrant Edge shard on disk: opening it, writing so that it survives a crash, reading.

Facts of qdrant-edge-py 0.9.0 that this file is built on: every call holds the interpreter lock
from beginning to end; an update is appended to a memory-mapped log before it is applied, and
loading replays the log; `flush` writes log and segments to disk, in some 20 ms; a shard whose
segment folder is gone opens as an empty one; disk space that runs out under a memory-mapped file
ends the process.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from service.contract.durable_files import replace_file
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.edge.log_files import LogFiles
from service.storage.local.disk_errors import disk_errors, is_disk_full
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
from service.storage.points.payloads import Payload, timestamp

MARKER = "crossfix.json"
SCROLL_BATCH = 1000

FLUSH_EVERY = 1000
"""Operations between flushes: bounds the log, and the time that a replay takes."""

DEFAULT_MIN_FREE_BYTES = 128 * 2**20
"""Room that a write may need at once: two log segments of 32 MiB and two chunks of vectors."""


class Shard:
    """A shard with its payload indexes. The owner serialises all calls but `settle`."""

    def __init__(
        self,
        folder: Path,
        width: int,
        indexes: Mapping[str, edge.PayloadSchemaType],
        min_free_bytes: int,
    ) -> None:
        """Open the shard, replaying its log, or create it.

        Searches are exact and never use a graph index: building one (`optimize`) would stop the
        whole process for seconds, while a scan of 10,000 vectors takes milliseconds. `optimize`
        runs here alone, to drop what was deleted.

        Raises:
            StoreUnavailableError: the folder is damaged, or holds vectors of another width.
            StoreFullError: the disk is full.
        """
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=width, distance=edge.Distance.Dot),
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10**9),
            optimizers=edge.EdgeOptimizersConfig(
                indexing_threshold=10**9, default_segment_number=1
            ),
        )
        with _damage_named(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._require_room()
            self._shard = _load_or_create(folder, width, config)
            self._shard.optimize()
            known = self._shard.info().payload_schema
            for field, schema in indexes.items():
                if field not in known:
                    self._shard.update(edge.UpdateOperation.create_field_index(field, schema))
            self._shard.flush()
            _mark(folder, width)
            self._log = LogFiles(folder / "wal")
        self._unflushed = 0

    def apply(self, operation: edge.UpdateOperation) -> None:
        """Log and apply one operation, all or none. It is durable once `settle` returned."""
        self._require_room()
        with _translated(self._folder):
            self._shard.update(operation)
            self._unflushed += 1
            if self._unflushed >= FLUSH_EVERY:
                self._shard.flush()
                self._unflushed = 0

    def settle(self) -> None:
        """Bring the log to disk, and with it all that was applied; searches go on meanwhile.

        A replay of the log then restores what a crash keeps from the segments. This takes well
        under a millisecond where `flush` would stop the process for twenty.
        """
        with _translated(self._folder):
            self._log.sync()

    def retrieve(self, ids: Sequence[UUID]) -> list[Payload]:
        """Payloads of the points that exist among `ids`."""
        with _translated(self._folder):
            records = self._shard.retrieve(list(ids), True, False)
        return [record.payload or {} for record in records]

    def page(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        """Payloads in order of id, from `start` on."""
        with _translated(self._folder):
            records, _ = self._shard.scroll(
                edge.ScrollRequest(
                    offset=start, limit=limit, filter=as_filter(where), with_payload=True
                )
            )
        return [record.payload or {} for record in records]

    def scan(
        self, where: Condition, fields: list[str] | None = None
    ) -> Iterator[tuple[UUID, Payload]]:
        """Ids and payloads (or only these fields) of all points that satisfy the condition."""
        start: Any = None
        while True:
            with _translated(self._folder):
                records, start = self._shard.scroll(
                    edge.ScrollRequest(
                        offset=start,
                        limit=SCROLL_BATCH,
                        filter=as_filter(where),
                        with_payload=fields or True,
                    )
                )
            for record in records:
                yield UUID(str(record.id)), record.payload or {}
            if start is None:
                return

    def rows(self, where: Condition) -> Iterator[tuple[NDArray[np.float32], Payload]]:
        """Vectors, float32 `[D]`, and payloads of the points that satisfy it."""
        start: Any = None
        while True:
            with _translated(self._folder):
                records, start = self._shard.scroll(
                    edge.ScrollRequest(
                        offset=start,
                        limit=SCROLL_BATCH,
                        filter=as_filter(where),
                        with_payload=True,
                        with_vector=True,
                    )
                )
            for record in records:
                yield np.asarray(record.vector, dtype=np.float32), record.payload or {}
            if start is None:
                return

    def nearest(
        self,
        vector: list[float],
        queries: Sequence[tuple[Condition, int]],
        fields: list[str] | None = None,
    ) -> list[list[tuple[float, Payload]]]:
        """For each (condition, limit) the best `(dot product, payload)`, best first."""
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(vector),
                filter=as_filter(where),
                with_payload=fields or True,
            )
            for where, limit in queries
        ]
        with _translated(self._folder):
            answers = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[(point.score, point.payload or {}) for point in points] for points in answers]

    def count(self, where: Condition) -> int:
        with _translated(self._folder):
            return self._shard.count(edge.CountRequest(exact=True, filter=as_filter(where)))

    def close(self) -> None:
        with _translated(self._folder):
            self._log.close()
            self._shard.flush()
            self._shard.close()

    def ping(self) -> None:
        """Reach the shard and its disk: would a change be kept now?"""
        self._require_room()
        self.retrieve([UUID(int=0)])  # counting would hold up the process, the longer the fuller
        self.settle()

    def _require_room(self) -> None:
        with disk_errors(f"reach the store in {self._folder}"):
            free = shutil.disk_usage(self._folder).free
        if free < self._min_free_bytes:
            raise StoreFullError(
                f"the disk of {self._folder} has {free >> 20} MiB left and a write may need "
                f"{self._min_free_bytes >> 20}; nothing was written"
            )


def as_filter(where: Condition) -> edge.Filter:
    return edge.Filter(
        must=[_as_condition(clause) for clause in where.must] or None,
        must_not=[_as_condition(clause) for clause in where.must_not] or None,
    )


def _as_condition(clause: Clause) -> Any:
    match clause:
        case AnyOf(key, words):
            return edge.FieldCondition(key, match=edge.MatchAny(list(words)))
        case BetweenOrUnknown(key, low, high):
            known = edge.FieldCondition(key, range=edge.RangeFloat(gte=low, lte=high))
            return edge.Filter(should=[known, edge.IsEmptyCondition(key)])
        case During(key, start, end):
            span = edge.RangeDateTime(
                gte=timestamp(start) if start else None, lte=timestamp(end) if end else None
            )
            return edge.FieldCondition(key, range=span)
        case Before(key, end):
            return edge.FieldCondition(key, range=edge.RangeDateTime(lt=timestamp(end)))
        case Near(key, lat, lon, radius_m):
            disc = edge.GeoRadius(edge.GeoPoint(lon=lon, lat=lat), radius_m)
            return edge.FieldCondition(key, geo_radius=disc)
        case Known(key):
            return edge.Filter(must_not=[edge.IsEmptyCondition(key)])


def _load_or_create(folder: Path, width: int, config: edge.EdgeConfig) -> edge.EdgeShard:
    segments = folder / "segments"
    populated = segments.is_dir() and any(segments.iterdir())
    marker = folder / MARKER
    if marker.exists():
        stored = int(json.loads(marker.read_text())["width"])
        if stored != width:
            raise StoreUnavailableError(
                f"{folder} holds vectors of {stored} numbers, but the bundle makes {width}; "
                "the folder belongs to another bundle"
            )
        if not populated:
            raise FileNotFoundError(f"{segments} is missing or empty")
    if populated:
        return edge.EdgeShard.load(str(folder), config)
    return edge.EdgeShard.create(str(folder), config)


def _mark(folder: Path, width: int) -> None:
    """Note on disk that the shard is complete, so that a lost one is not taken for a new one."""
    if not (folder / MARKER).exists():
        replace_file(folder / MARKER, json.dumps({"width": width}))


@contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    """Errors while opening mean a damaged folder, unless they have a name already."""
    try:
        with _translated(folder):
            yield
    except StoreUnavailableError as error:
        if error.__cause__ is None:
            raise
        raise StoreUnavailableError(
            f"the store in {folder} is damaged and was left as it is ({error.__cause__}); "
            "restore the folder from a backup, or move it away and begin anew"
        ) from error.__cause__


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Edge raises bare Exceptions, and Rust panics as a BaseException of its own."""
    try:
        yield
    except (StoreUnavailableError, StoreFullError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if is_disk_full(error) or "No space left on device" in str(error):
            raise StoreFullError(f"the disk of {folder} is full") from error
        raise StoreUnavailableError(f"the store in {folder} does not answer: {error}") from error
