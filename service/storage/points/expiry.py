"""Find records that may be deleted for their age or number, and those that wait to be sent."""

from datetime import datetime
from uuid import UUID

from service.identity.records.match_records import Standing
from service.storage.points import payloads
from service.storage.points.archive import RecordCollection
from service.storage.points.filters import OPEN_SIGHTINGS, AnyOf, Condition
from service.storage.points.match_payloads import (
    ASKED_AT,
    STANDING,
    UNANNOUNCED,
    UNSETTLED,
    YES,
    point_id,
)
from service.storage.points.payloads import timestamp

UNJUDGED_MATCHES = Condition((AnyOf(STANDING, [Standing.OPEN.value]),), (AnyOf(UNSETTLED, [YES]),))
UNANNOUNCED_MATCHES = Condition((AnyOf(UNANNOUNCED, [YES]),))


def unannounced_matches(matches: RecordCollection) -> list[UUID]:
    """Return the ids of matches that wait to be sent; see `MatchStore.unannounced`."""
    rows = matches.scan(UNANNOUNCED_MATCHES, [UNANNOUNCED])
    newest_first = [point_id(number) for number, _ in rows]
    return newest_first[::-1]


def unjudged_matches(
    matches: RecordCollection, before: datetime | None, beyond: int | None
) -> list[UUID]:
    """Return the ids of unjudged matches; see `MatchStore.unjudged`."""
    if before is None and beyond is None:
        return []
    limit = None if before is None else timestamp(before)
    newest_first = matches.scan(UNJUDGED_MATCHES, [ASKED_AT])
    return [
        point_id(number)  # the complement of the complement: the id of the match
        for place, (number, row) in enumerate(newest_first)
        if (limit is not None and row[ASKED_AT] < limit) or (beyond is not None and place >= beyond)
    ]


def open_sightings(
    sightings: RecordCollection, before: datetime | None, beyond: int | None
) -> list[tuple[UUID, str]]:
    """Return id and chip digest of open sightings; see `Gallery.open_sightings`."""
    if before is None and beyond is None:
        return []
    rows = sightings.scan(OPEN_SIGHTINGS)
    found = [
        (one.recorded_at, one.id, one.chip_sha256)
        for one in (payloads.sighting_from(row) for _, row in rows)
    ]
    found.sort(reverse=True)
    return [
        (sighting_id, chip)
        for place, (recorded_at, sighting_id, chip) in enumerate(found)
        if (before is not None and recorded_at < before) or (beyond is not None and place >= beyond)
    ]
