"""The port of the match store: match records, and what analysts decided."""

from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord


class MatchStore(Protocol):
    """Matches whose query was stored, and what analysts made of them; knows no bundle.

    Safe to call from many threads. Writing returns when the change would survive a crash. All
    raise `StoreUnavailableError` when the store does not answer and `StoreFullError` when it is
    full; nothing is then acknowledged.
    """

    def put(self, kept: MatchRecord) -> None:
        """Insert or replace."""
        ...

    def get(self, match_id: UUID) -> MatchRecord | None: ...

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        """Newest first, by the time that is part of the id (see `history.new_match_id`).

        Raises:
            InvalidRequestError: the cursor is not one that an earlier page returned.
        """
        ...

    def unsettled(self) -> list[MatchRecord]: ...

    def all(self) -> Iterator[MatchRecord]:
        """Every match, in any order."""
        ...

    def ping(self) -> None:
        """Reach the store, or raise `StoreUnavailableError`; `StoreFullError` without room."""
        ...

    def close(self) -> None: ...
