"""Read open sightings: their groups, and which may be deleted for their age or number."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from service.identity.records.sightings import GroupedSighting
from service.storage.points import payloads
from service.storage.points.archive import RecordCollection
from service.storage.points.filters import GROUPED_SIGHTINGS, OPEN_SIGHTINGS
from service.storage.points.payloads import Payload


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


def group_sizes(sightings: RecordCollection) -> dict[UUID, int]:
    """Return the number of different chips in each group; see `Gallery.group_sizes`."""
    chips: dict[UUID, set[str]] = defaultdict(set)
    for _, row in sightings.scan(GROUPED_SIGHTINGS, [payloads.GROUP, payloads.CHIP]):
        chips[UUID(row[payloads.GROUP])].add(row[payloads.CHIP])
    return {group: len(shown) for group, shown in chips.items()}


def members_from(rows: Iterable[Payload]) -> list[GroupedSighting]:
    """Return the grouped sightings of several payloads in order of recording."""
    found = [
        GroupedSighting(payloads.sighting_from(row), place)
        for row in rows
        if (place := payloads.place_from(row)) is not None
    ]
    return sorted(found, key=lambda one: (one.sighting.recorded_at, one.sighting.id))
