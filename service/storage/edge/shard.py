"""One Qdrant Edge shard on disk: opening it, writing so that it survives a crash, reading.

This file relies on these facts of qdrant-edge-py 0.9.0: every call holds the interpreter lock from
beginning to end; an update is appended to a memory-mapped log before it is applied, and loading
replays the log; `flush` writes log and segments to disk, in some 20 ms; a shard whose segment
folder is missing opens as an empty one; disk space that runs out under a memory-mapped file ends
the process.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from service.contract.durable_files import replace_file
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.edge.filters import as_filter
from service.storage.edge.log_files import LogFiles
from service.storage.local.disk_errors import is_disk_full
from service.storage.local.disk_space import require_room
from service.storage.points.archive import EmbeddedPoint
from service.storage.points.filters import EVERYTHING, Condition
from service.storage.points.payloads import Payload, Point

IndexSchema = edge.PayloadSchemaType | edge.KeywordIndexParams

MARKER = "crossfix.json"
SCROLL_BATCH = 1000
NO_VECTOR = [0.0]
"""The vector of a point in a shard that holds payloads only."""

FLUSH_EVERY = 1000
"""Operations between flushes: bounds the log, and the time that a replay takes."""


class Shard:
    """A `RecordCollection` with payload indexes. Safe to read from many threads.

    The owner serialises all writing methods.
    """

    def __init__(self, folder: Path, width: int, indexes: Mapping[str, IndexSchema]) -> None:
        """Open the shard, replaying its log, or create it.

        Searches are exact and never use a graph index: building one (`optimize`) would stop the
        whole process for seconds, while a scan of 10,000 vectors takes milliseconds. `optimize`
        runs only here, to drop deleted points.

        Raises:
            StoreUnavailableError: the folder is damaged, or holds vectors of another width.
            StoreFullError: the disk is full.
        """
        self._folder = folder
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=width, distance=edge.Distance.Dot),
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10**9),
            optimizers=edge.EdgeOptimizersConfig(
                indexing_threshold=10**9, default_segment_number=1
            ),
        )
        with _damage_reported(folder):
            folder.mkdir(parents=True, exist_ok=True)
            require_room(self._folder)
            self._shard = _load_or_create(folder, width, config)
            self._shard.optimize()
            indexed = self._shard.info().payload_schema
            for field, schema in indexes.items():
                if field not in indexed:
                    self._shard.update(edge.UpdateOperation.create_field_index(field, schema))
            for field in set(indexed) - indexes.keys():  # indexes are in memory
                self._shard.update(edge.UpdateOperation.delete_field_index(field))
            self._shard.flush()
            _write_marker(folder, width)
            self._log = LogFiles(folder / "wal")
        self._unflushed = 0

    def apply(self, operation: edge.UpdateOperation) -> None:
        """Log and apply one operation, all or none. It is durable once `sync` returned."""
        require_room(self._folder)
        with _translated_errors(self._folder):
            self._shard.update(operation)
            self._unflushed += 1
            if self._unflushed >= FLUSH_EVERY:
                self._shard.flush()
                self._unflushed = 0

    def sync(self) -> None:
        """Bring the log to disk, and with it every applied operation, while searches go on.

        A replay of the log then restores what a crash keeps from the segments. This takes well
        under a millisecond, while `flush` would stop the process for twenty.
        """
        with _translated_errors(self._folder):
            self._log.sync()

    def put(self, points: Sequence[Point]) -> None:
        if points:
            self.apply(upsert(points))
            self.sync()

    def set_fields(self, ids: Collection[UUID], fields: Payload) -> None:
        if existing := self.existing(ids):
            self.apply(edge.UpdateOperation.set_payload([*existing], fields))
            self.sync()

    def delete(self, ids: Collection[UUID], where: Condition | None = None) -> None:
        if self.discard(ids, where):
            self.sync()

    def discard(self, ids: Collection[UUID], where: Condition | None = None) -> bool:
        """Delete points without `sync`; return whether there were any."""
        existing = self.existing(ids)
        if where is not None:
            existing &= {point_id for point_id, _ in self.scan(where)}
        if existing:
            self.apply(edge.UpdateOperation.delete_points([*existing]))
        return bool(existing)

    def retrieve(self, ids: Collection[UUID]) -> list[Payload]:
        return list(self.fetch(ids).values())

    def fetch(self, ids: Collection[UUID]) -> dict[UUID, Payload]:
        """Return the payloads of the points that exist among `ids`, by id."""
        with _translated_errors(self._folder):
            records = self._shard.retrieve(list(ids), True, False)
        return {UUID(str(record.id)): record.payload or {} for record in records}

    def fetch_with_vectors(self, ids: Collection[UUID]) -> list[EmbeddedPoint]:
        """Return id, vector, float32 `[D]`, and payload of the points that exist among `ids`."""
        with _translated_errors(self._folder):
            records = self._shard.retrieve(list(ids), True, True)
        return [_with_vector(record) for record in records]

    def page(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        """Return at most `limit` payloads in order of id, from `start` on."""
        records, _ = self._scroll(where, start, limit)
        return [record.payload or {} for record in records]

    def select(self, where: Condition) -> list[Payload]:
        """Return the payloads of all points that satisfy the condition."""
        return [row for _, row in self.scan(where)]

    def scan(
        self, where: Condition = EVERYTHING, fields: list[str] | None = None
    ) -> Iterator[tuple[UUID, Payload]]:
        for record in self._scan(where, fields, False):
            yield UUID(str(record.id)), record.payload or {}

    def scan_with_vectors(
        self, where: Condition, fields: list[str] | None = None
    ) -> Iterator[EmbeddedPoint]:
        for record in self._scan(where, fields, True):
            yield _with_vector(record)

    def values(self, field: str, where: Condition, limit: int) -> list[str]:
        """Return the values of an indexed keyword field, the most common first."""
        request = edge.FacetRequest(field, limit=limit, filter=as_filter(where))
        with _translated_errors(self._folder):
            return [str(hit.value) for hit in self._shard.facet(request).hits]

    def count(self, where: Condition) -> int:
        with _translated_errors(self._folder):
            return self._shard.count(edge.CountRequest(exact=True, filter=as_filter(where)))

    def close(self) -> None:
        """Flush and close the shard."""
        with _translated_errors(self._folder):
            self._log.close()
            self._shard.flush()
            self._shard.close()

    def ping(self) -> None:
        """Raise the error that a change would raise now."""
        require_room(self._folder)
        # Counting would stop the process for longer, the more points there are.
        self.retrieve([UUID(int=0)])
        self.sync()

    def existing(self, ids: Collection[UUID]) -> set[UUID]:
        """Return those of `ids` that exist."""
        with _translated_errors(self._folder):
            records = self._shard.retrieve(list(ids), False, False)
        return {UUID(str(record.id)) for record in records}

    def _scan(
        self, where: Condition, fields: list[str] | None, with_vectors: bool
    ) -> Iterator[edge.Record]:
        start: Any = None
        while True:
            records, start = self._scroll(where, start, SCROLL_BATCH, fields, with_vectors)
            yield from records
            if start is None:
                return

    def _scroll(
        self,
        where: Condition,
        start: Any,
        limit: int,
        fields: list[str] | None = None,
        with_vectors: bool = False,
    ) -> tuple[list[edge.Record], Any]:
        """Return points in order of id from `start` on, and the id that starts the next page."""
        request = edge.ScrollRequest(
            offset=start,
            limit=limit,
            filter=as_filter(where),
            with_payload=fields or True,
            with_vector=with_vectors,
        )
        with _translated_errors(self._folder):
            return self._shard.scroll(request)


def upsert(points: Sequence[Point]) -> edge.UpdateOperation:
    """Return the operation that inserts or replaces points."""
    return edge.UpdateOperation.upsert_points(
        [edge.Point(one.id, one.vector or NO_VECTOR, one.payload) for one in points]
    )


def _with_vector(record: edge.Record) -> EmbeddedPoint:
    return UUID(str(record.id)), np.asarray(record.vector, np.float32), record.payload or {}


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


def _write_marker(folder: Path, width: int) -> None:
    """Mark the shard on disk as complete, so that a lost one is not taken for a new one."""
    if not (folder / MARKER).exists():
        replace_file(folder / MARKER, json.dumps({"width": width}))


@contextmanager
def _damage_reported(folder: Path) -> Iterator[None]:
    """Report an error of Edge as a damaged folder; pass on this service's own errors."""
    try:
        with _translated_errors(folder):
            yield
    except StoreUnavailableError as error:
        if error.__cause__ is None:
            raise
        raise StoreUnavailableError(
            f"the store in {folder} is damaged and was left as it is ({error.__cause__}); "
            "restore the folder from a backup, or move it away and begin anew"
        ) from error.__cause__


@contextmanager
def _translated_errors(folder: Path) -> Iterator[None]:
    """Raise StoreFullError or StoreUnavailableError for an error of Qdrant Edge.

    Edge raises bare Exceptions, and a Rust panic as a BaseException of its own type.
    """
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
