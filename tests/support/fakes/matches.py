"""A `MatchStore` in a dictionary, which the adapters must agree with."""

import threading
from collections.abc import Collection, Iterator
from datetime import datetime
from uuid import UUID

from service.identity.records.base import GeoPoint
from service.identity.records.checks import RecordCheck
from service.identity.records.match_records import (
    Area,
    MatchFilter,
    MatchPage,
    MatchRecord,
    Standing,
)
from tests.support.fakes.cursors import cursor_after, parse_cursor


class FakeMatchStore:
    """Keeps records in memory; never fails."""

    def __init__(self) -> None:
        self._records: dict[UUID, MatchRecord] = {}
        self._lock = threading.Lock()

    def put(self, *records: MatchRecord) -> None:
        with self._lock:
            self._records |= {record.id: record for record in records}

    def get(self, match_id: UUID) -> MatchRecord | None:
        with self._lock:
            return self._records.get(match_id)

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        last = None if cursor is None else parse_cursor(cursor, where)
        wanted = [one for one in self.all() if passes(one, where)]
        newest_first = sorted(wanted, key=lambda one: one.id, reverse=True)
        rest = [one for one in newest_first if last is None or one.id < last]
        page = rest[:limit]
        return MatchPage(page, cursor_after(page[-1].id, where) if len(rest) > limit else None)

    def unsettled(self) -> list[MatchRecord]:
        return [one for one in self.all() if one.unsettled]

    def unannounced(self) -> list[UUID]:
        return sorted(one.id for one in self.all() if one.unannounced)

    def all(self) -> Iterator[MatchRecord]:
        with self._lock:
            records = list(self._records.values())
        yield from records

    def ping(self) -> None:
        return

    def unjudged(self, before: datetime | None, beyond: int | None) -> list[UUID]:
        open_ones = [one for one in self.all() if one.standing is Standing.OPEN]
        open_ones.sort(key=lambda one: one.id, reverse=True)
        return [
            one.id
            for place, one in enumerate(open_ones)
            if (before is not None and one.asked_at < before)
            or (beyond is not None and place >= beyond)
        ]

    def delete_unjudged(self, ids: Collection[UUID]) -> int:
        with self._lock:
            for match_id in ids:
                record = self._records.get(match_id)
                if record is not None and record.standing is Standing.OPEN:
                    del self._records[match_id]
            return sum(match_id not in self._records for match_id in ids)

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return iter(())

    def close(self) -> None:
        return


def passes(record: MatchRecord, where: MatchFilter) -> bool:
    """Return whether the record passes the filter."""
    match = record.match
    return (
        where.verdict in (None, match.verdict)
        and where.standing in (None, record.standing)
        and where.state in (None, record.state)
        and where.modality in (None, match.query.modality)
        and (
            where.vessel_id is None
            or not _vessels(record).isdisjoint({where.vessel_id, *where.merged_ids})
        )
        and (where.sighting_id is None or where.sighting_id in match.sighting_ids)
        and (where.case is None or _has(match.query.case, where.case, whole=True))
        and (where.file_name is None or _has(match.query.file_name, where.file_name))
        and (where.note is None or _has(match.query.note, where.note))
        and (where.since is None or where.since <= record.asked_at)
        and (where.until is None or record.asked_at < where.until)
        and (where.area is None or _inside(match.query.position, where.area))
    )


def _inside(at: GeoPoint | None, area: Area) -> bool:
    if at is None or not area.south <= at.lat <= area.north:
        return False
    if area.west <= area.east:
        return area.west <= at.lon <= area.east
    return at.lon >= area.west or at.lon <= area.east


def _has(text: str | None, part: str, whole: bool = False) -> bool:
    text, part = (text or "").casefold(), part.casefold()
    return text == part if whole else part in text


def _vessels(record: MatchRecord) -> set[UUID]:
    """Return the candidates and the confirmed vessel."""
    vessels = {candidate.vessel.id for candidate in record.match.candidates}
    confirmed = None if record.judgement is None else record.judgement.vessel_id
    return vessels if confirmed is None else vessels | {confirmed}
