"""Match records in points: what the stores of both adapters have in common."""

from collections.abc import Collection, Iterator
from datetime import datetime
from functools import partial
from uuid import UUID

from service.identity.records.checks import RecordCheck
from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord, Standing
from service.storage.points import match_payloads as fields
from service.storage.points.archive import PagedCollection
from service.storage.points.checking import check_payloads
from service.storage.points.filters import AnyOf, Condition
from service.storage.points.paging import PageReader, has_part
from service.storage.points.payloads import Payload, timestamp

UNSETTLED_MATCHES = Condition((AnyOf(fields.UNSETTLED, [fields.YES]),))
UNANNOUNCED_MATCHES = Condition((AnyOf(fields.UNANNOUNCED, [fields.YES]),))
UNJUDGED_MATCHES = Condition(
    (AnyOf(fields.STANDING, [Standing.OPEN.value]),), UNSETTLED_MATCHES.must
)


class PointMatches:
    """The methods of a `MatchStore` that only read and write points."""

    _matches: PagedCollection

    def put(self, *records: MatchRecord) -> None:
        self._matches.put([fields.match_point(record) for record in records])

    def get(self, match_id: UUID) -> MatchRecord | None:
        rows = self._matches.retrieve([fields.point_id(match_id)])
        return fields.match_from(rows[0]) if rows else None

    def page(self, where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        parts = {fields.FILE_NAME: where.file_name, fields.NOTE: where.note}
        sought = [(key, part) for key, part in parts.items() if part is not None]

        def passes(row: Payload) -> bool:
            return all(has_part(row, key, part) for key, part in sought)

        reader = PageReader(
            f"matches {where!r}",
            partial(self._matches.page, fields.match_condition(where)),
            fields.match_from,
            lambda record: fields.point_id(record.id),
            passes if sought else None,
        )
        return MatchPage(*reader.page(limit, cursor))

    def unsettled(self) -> list[MatchRecord]:
        return [fields.match_from(row) for _, row in self._matches.scan(UNSETTLED_MATCHES)]

    def unannounced(self) -> list[UUID]:
        newest_first = self._matches.scan(UNANNOUNCED_MATCHES, [fields.UNANNOUNCED])
        return [fields.point_id(number) for number, _ in newest_first][::-1]

    def all(self) -> Iterator[MatchRecord]:
        return (fields.match_from(row) for _, row in self._matches.scan())

    def unjudged(self, before: datetime | None, beyond: int | None) -> list[UUID]:
        if before is None and beyond is None:
            return []
        limit = None if before is None else timestamp(before)
        newest_first = self._matches.scan(UNJUDGED_MATCHES, [fields.ASKED_AT])
        return [
            fields.point_id(number)  # the complement of the complement: the id of the match
            for place, (number, row) in enumerate(newest_first)
            if (limit is not None and row[fields.ASKED_AT] < limit)
            or (beyond is not None and place >= beyond)
        ]

    def delete_unjudged(self, ids: Collection[UUID]) -> int:
        points = [fields.point_id(i) for i in ids]
        self._matches.delete(points, UNJUDGED_MATCHES)
        return len(points) - len(self._matches.retrieve(points))

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return check_payloads("match", self._matches, fields.match_from)
