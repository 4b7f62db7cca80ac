"""Match records in a folder, through Qdrant Edge in this process.

One process at a time, and this folder has no lock of its own: whoever opens it holds the lock of
the gallery beside it (`edge_folder.lock_folder`) from before it is opened until after it is closed.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import qdrant_edge as edge

from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord
from service.storage.edge.folder import KEYWORD, NO_VECTOR
from service.storage.edge.shard import DEFAULT_MIN_FREE_BYTES, Shard
from service.storage.points.filters import Condition
from service.storage.points.match_payloads import (
    ASKED_AT,
    KEYWORDS,
    STILL_UNSETTLED,
    every_match,
    listed_matches,
    match_from,
    match_page,
    match_payload,
    point_id,
)
from service.storage.points.payloads import Payload

INDEXES = dict.fromkeys(KEYWORDS, KEYWORD) | {ASKED_AT: edge.PayloadSchemaType.Datetime}


def open_edge_matches(
    folder: Path, min_free_bytes: int = DEFAULT_MIN_FREE_BYTES
) -> "EdgeMatchStore":
    """Open the matches in `folder`, creating it where needed and replaying its log.

    Args:
        folder: one shard; the caller holds the lock of the gallery beside it.
        min_free_bytes: writes are refused with less disk space than this.

    Raises:
        StoreUnavailableError: the folder is damaged, or cannot be used.
        StoreFullError: the disk is full.
    """
    return EdgeMatchStore(Shard(folder, len(NO_VECTOR), INDEXES, min_free_bytes))


class EdgeMatchStore:
    """A `MatchStore`; calls from many threads take turns."""

    def __init__(self, shard: Shard) -> None:
        """Use `open_edge_matches`."""
        self._shard = shard
        self._turn = threading.Lock()
        self._closed = False

    def put(self, kept: MatchRecord) -> None:
        point = edge.Point(point_id(kept.id), NO_VECTOR, match_payload(kept))
        with self._turn:
            self._shard.apply(edge.UpdateOperation.upsert_points([point]))
        self._shard.settle()

    def get(self, match_id: UUID) -> MatchRecord | None:
        with self._turn:
            rows = self._shard.retrieve([point_id(match_id)])
        return match_from(rows[0]) if rows else None

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        condition = listed_matches(where)
        return match_page(lambda start, n: self._fetch(condition, start, n), limit, cursor)

    def unsettled(self) -> list[MatchRecord]:
        return list(every_match(lambda start, n: self._fetch(STILL_UNSETTLED, start, n)))

    def all(self) -> Iterator[MatchRecord]:
        return every_match(lambda start, n: self._fetch(Condition(), start, n))

    def ping(self) -> None:
        with self._turn:
            self._shard.ping()

    def close(self) -> None:
        with self._turn:
            if not self._closed:
                self._closed = True
                self._shard.close()

    def _fetch(self, where: Condition, start: UUID | None, limit: int) -> Sequence[Payload]:
        with self._turn:
            return self._shard.page(where, start, limit)
