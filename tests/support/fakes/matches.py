"""A `MatchStore` in a dictionary: what the adapters must agree with."""

import threading
from collections.abc import Iterator
from uuid import UUID

from service.identity.errors import InvalidRequestError
from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord


class FakeMatchStore:
    """Nothing survives `close`; nothing is ever unavailable."""

    def __init__(self) -> None:
        self._kept: dict[UUID, MatchRecord] = {}
        self._turn = threading.Lock()

    def put(self, kept: MatchRecord) -> None:
        with self._turn:
            self._kept[kept.id] = kept

    def get(self, match_id: UUID) -> MatchRecord | None:
        with self._turn:
            return self._kept.get(match_id)

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        last = None if cursor is None else _parse(cursor)
        wanted = [one for one in self.all() if passes(one, where)]
        newest_first = sorted(wanted, key=lambda one: one.id, reverse=True)
        left = [one for one in newest_first if last is None or one.id < last]
        page = left[:limit]
        return MatchPage(page, str(page[-1].id) if len(left) > limit else None)

    def unsettled(self) -> list[MatchRecord]:
        return [one for one in self.all() if one.unsettled]

    def all(self) -> Iterator[MatchRecord]:
        with self._turn:
            kept = list(self._kept.values())
        yield from kept

    def ping(self) -> None:
        return

    def close(self) -> None:
        return


def passes(kept: MatchRecord, where: MatchFilter) -> bool:
    """Whether a list by this filter shows the match."""
    match = kept.match
    return (
        where.verdict in (None, match.verdict)
        and where.standing in (None, kept.standing)
        and where.modality in (None, match.query.modality)
        and (where.vessel_id is None or where.vessel_id in _vessels(kept))
        and where.sighting_id in (None, match.query.id)
        and (where.since is None or where.since <= kept.asked_at)
        and (where.until is None or kept.asked_at < where.until)
    )


def _vessels(kept: MatchRecord) -> set[UUID]:
    """The candidates, and the vessel that is confirmed."""
    vessels = {candidate.vessel.id for candidate in kept.match.candidates}
    confirmed = None if kept.judgement is None else kept.judgement.vessel_id
    return vessels if confirmed is None else vessels | {confirmed}


def _parse(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError as error:
        raise InvalidRequestError(f"{cursor!r} is not a page cursor") from error
