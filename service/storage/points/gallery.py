"""The gallery in points: what the galleries of both adapters have in common."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Protocol
from uuid import UUID

from service.identity.records.checks import RecordCheck
from service.identity.records.sightings import EmbeddedSighting, GroupedSighting, Sighting
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState
from service.storage.points import filters, payloads
from service.storage.points.archive import PagedCollection, PointCollection
from service.storage.points.checking import check_gallery
from service.storage.points.paging import vessel_page
from service.storage.points.payloads import Payload


class VesselCollection(PagedCollection, Protocol):
    """The points of vessels. Safe to call from many threads."""

    def select(self, where: filters.Condition) -> list[Payload]:
        """Return the payloads of all points that satisfy the condition, which are few."""

    def values(self, field: str, where: filters.Condition, limit: int) -> list[str]:
        """Return the values of an indexed keyword field, the most common first."""


class PointGallery:
    """The methods of a `Gallery` that only read points.

    `_open_sightings` is the collection that holds the open ones of `_sightings`.
    """

    _vessels: VesselCollection
    _sightings: PointCollection
    _open_sightings: PointCollection

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        return payloads.vessels_by_id(self._vessels.retrieve(ids))

    def find_by_imo(self, imo: str) -> list[Vessel]:
        return self._vessels_where(filters.AnyOf(payloads.IMO, [imo]))

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        return self._vessels_where(filters.in_state(states))

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        fetch = partial(self._vessels.page, filters.vessel_condition(where))
        return vessel_page(fetch, where, limit, cursor)

    def vessel_types(self, limit: int) -> list[str]:
        return self._vessels.values(payloads.TYPE, filters.vessel_condition(VesselFilter()), limit)

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        rows = self._sightings.retrieve([sighting_id])
        return payloads.sighting_from(rows[0]) if rows else None

    def uncompared(self, limit: int) -> list[EmbeddedSighting]:
        rows = self._sightings.scan_with_vectors(filters.UNCOMPARED_SIGHTINGS)
        return payloads.embedded_sightings(islice(rows, limit))

    def ungrouped(self, limit: int) -> list[EmbeddedSighting]:
        rows = self._open_sightings.scan_with_vectors(filters.UNGROUPED_SIGHTINGS)
        return payloads.embedded_sightings(islice(rows, limit))

    def members_of(self, groups: Collection[UUID]) -> list[GroupedSighting]:
        rows = self._open_sightings.scan(filters.in_groups(groups)) if groups else ()
        found = [
            GroupedSighting(payloads.sighting_from(row), place)
            for _, row in rows
            if (place := payloads.place_from(row)) is not None
        ]
        return sorted(found, key=lambda one: (one.sighting.recorded_at, one.sighting.id))

    def group_sizes(self) -> dict[UUID, int]:
        chips: dict[UUID, set[str]] = defaultdict(set)
        fields = [payloads.GROUP, payloads.CHIP]
        for _, row in self._open_sightings.scan(filters.GROUPED_SIGHTINGS, fields):
            chips[UUID(row[payloads.GROUP])].add(row[payloads.CHIP])
        return {group: len(shown) for group, shown in chips.items()}

    def open_sightings(self, before: datetime | None, beyond: int | None) -> list[tuple[UUID, str]]:
        if before is None and beyond is None:
            return []
        rows = self._open_sightings.scan(filters.OPEN_SIGHTINGS)
        sightings = (payloads.sighting_from(row) for _, row in rows)
        found = sorted((one.recorded_at, one.id, one.chip_sha256) for one in sightings)[::-1]
        return [
            (sighting_id, chip)
            for place, (recorded_at, sighting_id, chip) in enumerate(found)
            if (before is not None and recorded_at < before)
            or (beyond is not None and place >= beyond)
        ]

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return check_gallery(self._vessels, [self._sightings])

    def _vessels_where(self, clause: filters.Clause) -> list[Vessel]:
        rows = self._vessels.select(filters.Condition((clause,)))
        return [payloads.vessel_from(row) for row in rows]
