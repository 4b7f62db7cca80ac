"""Match records in a folder, through Qdrant Edge in this process.

The folder has no lock of its own: the gallery beside it must be open (`GalleryFolder` holds its
lock) from before the match records are opened until after they are closed.
"""

import threading
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import qdrant_edge as edge

from service.identity.records.checks import RecordCheck
from service.identity.records.match_records import MatchRecord
from service.storage.edge.folder import KEYWORD
from service.storage.edge.shard import DEFAULT_MIN_FREE_BYTES, NO_VECTOR, Shard, upsert
from service.storage.points.checking import check_matches
from service.storage.points.expiry import is_unjudged, unannounced_matches, unjudged_matches
from service.storage.points.filters import Condition
from service.storage.points.match_payloads import (
    ASKED_AT,
    IDS,
    KEYWORDS,
    NUMBERS,
    PagedMatches,
    match_from,
    match_point,
    point_id,
)
from service.storage.points.payloads import Payload
from service.storage.points.search_upgrade import make_matches_searchable

INDEXES = (
    dict.fromkeys(KEYWORDS, KEYWORD)
    | dict.fromkeys(IDS, edge.PayloadSchemaType.Uuid)
    | dict.fromkeys(NUMBERS, edge.PayloadSchemaType.Float)
    | {ASKED_AT: edge.PayloadSchemaType.Datetime}
)


class EdgeMatchStore(PagedMatches):
    """A `MatchStore` in one shard; a lock serialises the calls of several threads."""

    def __init__(self, folder: Path, min_free_bytes: int = DEFAULT_MIN_FREE_BYTES) -> None:
        """Open the shard in `folder`, creating it where needed and replaying its log.

        Args:
            folder: the shard; the caller has the gallery beside it open.
            min_free_bytes: writes are refused with less disk space than this.

        Raises:
            StoreUnavailableError: the folder is damaged, or cannot be used.
            StoreFullError: the disk is full.
        """
        self._shard = Shard(folder, len(NO_VECTOR), INDEXES, min_free_bytes)
        self._lock = threading.Lock()
        self._closed = False
        make_matches_searchable(self._shard)

    def put(self, record: MatchRecord) -> None:
        with self._lock:
            self._shard.apply(upsert([match_point(record)]))
        self._shard.sync()

    def get(self, match_id: UUID) -> MatchRecord | None:
        with self._lock:
            rows = self._shard.retrieve([point_id(match_id)])
        return match_from(rows[0]) if rows else None

    def ping(self) -> None:
        with self._lock:
            self._shard.ping()

    def unannounced(self) -> list[UUID]:
        return unannounced_matches(self._shard, self._lock)

    def unjudged(self, before: datetime | None, beyond: int | None) -> list[UUID]:
        return unjudged_matches(self._shard, before, beyond, self._lock)

    def delete_unjudged(self, ids: Collection[UUID]) -> int:
        with self._lock:
            found = self._shard.fetch([point_id(i) for i in ids])
            unjudged = [number for number, row in found.items() if is_unjudged(row)]
            self._shard.delete(unjudged)
        return len(ids) - len(found) + len(unjudged)

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return check_matches(self._shard, self._lock)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._shard.close()

    def _fetch(self, where: Condition, start: UUID | None, limit: int) -> list[Payload]:
        with self._lock:
            return self._shard.page(where, start, limit)
