"""The port of the match store."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Protocol
from uuid import UUID

from service.identity.records.checks import RecordCheck
from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord


class MatchStore(Protocol):
    """Records of matches whose query was stored, whatever bundle answered, and their judgements.

    Safe to call from many threads. Writing returns when the change would survive a crash. All
    methods raise `StoreUnavailableError` when the store does not answer and `StoreFullError` when
    it is full; the change is then not acknowledged.
    """

    def put(self, *records: MatchRecord) -> None:
        """Insert or replace records, in one write where the store has one."""

    def get(self, match_id: UUID) -> MatchRecord | None:
        """Return a record; None when there is none with this id."""

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        """List records, newest first, by the time in their id (see `new_match_id`).

        Raises:
            InvalidRequestError: no page of this filter returned this cursor.
        """

    def unsettled(self) -> list[MatchRecord]:
        """Return the records whose latest judgement is unsettled."""

    def unannounced(self) -> list[UUID]:
        """Return the ids of the matches that are to be sent to a webhook, the oldest first."""

    def all(self) -> Iterator[MatchRecord]:
        """Iterate over all records, in any order."""

    def ping(self) -> None:
        """Reach the store; raise `StoreUnavailableError`, or `StoreFullError` without space."""

    def unjudged(self, before: datetime | None, beyond: int | None) -> list[UUID]:
        """Return the ids of matches without a judgement in force, newest first.

        Args:
            before: those asked before this time; None for none of them.
            beyond: besides, all but so many, the newest; None for none.
        """

    def delete_unjudged(self, ids: Collection[UUID]) -> int:
        """Delete those of these records that have no judgement in force by now.

        Returns:
            how many records of `ids` there are no more.
        """

    def check_records(self) -> Iterator[list[RecordCheck]]:
        """Compare all records with their digests, a few at a time."""

    def close(self) -> None:
        """Close the connection or files of the store."""
