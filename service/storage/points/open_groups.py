"""Read the groups of open sightings that may show one ship."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from service.identity.records.sightings import GroupedSighting
from service.storage.points import payloads
from service.storage.points.archive import RecordCollection
from service.storage.points.filters import GROUPED_SIGHTINGS
from service.storage.points.payloads import Payload


def group_sizes(sightings: RecordCollection) -> dict[UUID, int]:
    """Return the number of different chips in each group; see `Gallery.group_sizes`."""
    chips: dict[UUID, set[str]] = defaultdict(set)
    for _, row in sightings.scan(GROUPED_SIGHTINGS, [payloads.GROUP, payloads.CHIP]):
        chips[UUID(row[payloads.GROUP])].add(row[payloads.CHIP])
    return {group: len(shown) for group, shown in chips.items()}


def members_from(rows: Iterable[Payload]) -> list[GroupedSighting]:
    """Return the grouped sightings of several payloads in order of recording."""
    found = [one for row in rows if (one := payloads.grouped_from(row)) is not None]
    return sorted(found, key=lambda one: (one.sighting.recorded_at, one.sighting.id))
