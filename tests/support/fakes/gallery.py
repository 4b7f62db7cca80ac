"""A `Gallery` in plain Python and numpy, which the adapters must agree with."""

import bisect
import math
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.identity.ports.gallery import SIGHTINGS_OF_VESSEL
from service.identity.records.checks import RecordCheck
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    GroupedSighting,
    GroupPlace,
    SearchResults,
    Sighting,
    SightingFilter,
    SightingHit,
    VesselQuery,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState
from service.storage.points.payloads import vessel_words
from service.storage.points.search_words import WORDS, words_of
from tests.support.fakes.cursors import cursor_after, parse_cursor


@dataclass(frozen=True, slots=True)
class Row:
    """A sighting, its vector, and the copied attributes of its vessel."""

    sighting: Sighting
    vector: NDArray[np.float32]
    vessel_type: str | None
    vessel_length_m: float | None


class FakeGallery:
    """Keeps vessels and sightings in memory; never fails."""

    def __init__(self, bundle_id: str, width: int) -> None:
        self._bundle_id = bundle_id
        self._width = width
        self._vessels: dict[UUID, Vessel] = {}
        self._fences: dict[UUID, UUID | None] = {}
        self._rows: dict[UUID, Row] = {}
        self._uncompared: set[UUID] = set()
        self._ungrouped: set[UUID] = set()
        self._places: dict[UUID, GroupPlace] = {}
        self._lock = threading.RLock()

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        with self._lock:
            self._vessels[vessel.id] = vessel
            self._fences[vessel.id] = fence

    def take_over(self, vessel_id: UUID, fence: UUID) -> None:
        with self._lock:
            vessel = self._vessels.get(vessel_id)
            if vessel is not None and vessel.state is VesselState.ENROLLING:
                self._fences[vessel_id] = fence

    def put_fenced(self, vessel: Vessel, fence: UUID) -> None:
        with self._lock:
            if vessel.id in self._vessels and self._fences[vessel.id] == fence:
                self.put_vessel(vessel, fence)

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        with self._lock:
            return {i: self._vessels[i] for i in ids if i in self._vessels}

    def find_by_imo(self, imo: str) -> list[Vessel]:
        with self._lock:
            return [v for v in self._vessels.values() if v.imo == imo]

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        with self._lock:
            return [v for v in self._vessels.values() if v.state in states]

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        with self._lock:
            listed = sorted((v for v in self._vessels.values() if _listed(v, where)), key=_id)
        last = None if cursor is None else parse_cursor(cursor, where)
        start = 0 if last is None else bisect.bisect_right(listed, last, key=_id)
        page = listed[start : start + limit]
        more = len(listed) > start + limit
        return VesselPage(page, cursor_after(page[-1].id, where) if more else None)

    def vessel_types(self, limit: int) -> list[str]:
        with self._lock:
            visible = [v for v in self._vessels.values() if v.state.visible]
        counts = Counter(v.type.casefold() for v in visible if v.type)
        return [kind for kind, _ in counts.most_common(limit)]

    def delete_vessel(self, vessel_id: UUID) -> None:
        with self._lock:
            self._vessels.pop(vessel_id, None)

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        rows = {}
        for one in sightings:
            if one.sighting.bundle_id != self._bundle_id:
                raise ValueError("another bundle's embedding")
            if one.vector.shape != (self._width,) or not (
                abs(np.linalg.norm(one.vector) - 1) <= 1e-3
            ):
                raise ValueError("not a unit vector of this gallery's width")
            rows[one.sighting.id] = _owned(Row(one.sighting, one.vector, None, None), vessel)
        with self._lock:
            self._rows.update(rows)
            self._mark(rows, vessel)

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        with self._lock:
            assigned = {i for i, row in self._rows.items() if row.sighting.vessel_id is not None}
            self.put_sightings([one for one in sightings if one.sighting.id not in assigned], None)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        with self._lock:
            for i in set(ids) & self._rows.keys():
                row = _owned(self._rows[i], vessel)
                moved = row.sighting.model_copy(update={"origin_vessel_id": origin})
                self._rows[i] = replace(row, sighting=moved)
                self._mark([i], vessel)

    def sync_vessel(self, vessel: Vessel) -> None:
        with self._lock:
            for i, row in self._rows.items():
                if row.sighting.vessel_id == vessel.id:
                    self._rows[i] = _owned(row, vessel)

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        with self._lock:
            row = self._rows.get(sighting_id)
            return row.sighting if row else None

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        with self._lock:
            found = [r.sighting for r in self._rows.values() if r.sighting.vessel_id in vessel_ids]
        return sorted(found, key=lambda sighting: (sighting.recorded_at, sighting.id))

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        with self._lock:
            for i in ids:
                self._rows.pop(i, None)

    def uses_chip(self, chip_sha256: str) -> bool:
        with self._lock:
            return any(r.sighting.chip_sha256 == chip_sha256 for r in self._rows.values())

    def unused_chips(self, chips: Collection[str]) -> set[str]:
        return {chip for chip in chips if not self.uses_chip(chip)}

    def search_each(self, queries: Sequence[VesselQuery], vessels: int) -> SearchResults:
        return SearchResults.of(self._search(one.vector, one.where, vessels) for one in queries)

    def _search(
        self, vector: NDArray[np.float32], where: SightingFilter, vessels: int
    ) -> list[tuple[Vessel, Sighting, float]]:
        if vector.shape != (self._width,):
            raise ValueError("not this gallery's width")
        groups: dict[UUID, list[tuple[Vessel, Sighting, float]]] = {}
        with self._lock:
            for row in self._rows.values():
                owner = self._vessels.get(row.sighting.vessel_id or UUID(int=0))
                if owner and owner.state.visible and _passes(row, where):
                    similarity = float(np.clip(row.vector @ vector, -1, 1))
                    groups.setdefault(owner.id, []).append((owner, row.sighting, similarity))
        best = [
            sorted(group, key=lambda hit: -hit[2])[:SIGHTINGS_OF_VESSEL]
            for group in groups.values()
        ]
        best.sort(key=lambda group: -group[0][2])
        return [hit for group in best[:vessels] for hit in group]

    def search_open(
        self, vector: NDArray[np.float32], modality: Modality, limit: int, compared: bool = False
    ) -> list[SightingHit]:
        with self._lock:
            hits = [
                SightingHit(
                    row.sighting,
                    float(np.clip(row.vector @ vector, -1, 1)),
                    place=self._places.get(row.sighting.id),
                )
                for row in self._rows.values()
                if row.sighting.vessel_id is None and row.sighting.modality is modality
                if not (compared and row.sighting.id in self._ungrouped)
            ]
        return sorted(hits, key=lambda hit: -hit.similarity)[:limit]

    def uncompared(self, limit: int) -> list[EmbeddedSighting]:
        with self._lock:
            found = sorted(self._uncompared & self._rows.keys())[:limit]
            return [EmbeddedSighting(self._rows[i].sighting, self._rows[i].vector) for i in found]

    def mark_compared(self, ids: Collection[UUID]) -> None:
        with self._lock:
            self._uncompared -= set(ids)

    def ungrouped(self, limit: int) -> list[EmbeddedSighting]:
        with self._lock:
            found = sorted(self._ungrouped & self._rows.keys())[:limit]
            return [EmbeddedSighting(self._rows[i].sighting, self._rows[i].vector) for i in found]

    def open_count(self) -> int:
        with self._lock:
            return sum(map(self._is_open, self._rows))

    def place_in_group(self, places: Mapping[UUID, GroupPlace | None]) -> None:
        with self._lock:
            for i, place in places.items():
                if i in self._rows and self._rows[i].sighting.vessel_id is None:
                    self._ungrouped.discard(i)
                    self._places.pop(i, None)
                    if place is not None:
                        self._places[i] = place

    def compare_anew(self, ids: Collection[UUID]) -> None:
        with self._lock:
            self._mark([i for i in ids if self._is_open(i)], None)

    def members_of(self, groups: Collection[UUID]) -> list[GroupedSighting]:
        with self._lock:
            found = [
                GroupedSighting(self._rows[i].sighting, place)
                for i, place in self._places.items()
                if self._is_open(i) and place.group_id in groups
            ]
        return sorted(found, key=lambda one: (one.sighting.recorded_at, one.sighting.id))

    def group_sizes(self) -> dict[UUID, int]:
        with self._lock:
            chips: dict[UUID, set[str]] = {}
            for i, place in self._places.items():
                if self._is_open(i):
                    shown = chips.setdefault(place.group_id, set())
                    shown.add(self._rows[i].sighting.chip_sha256)
        return {group: len(shown) for group, shown in chips.items()}

    def _is_open(self, sighting_id: UUID) -> bool:
        row = self._rows.get(sighting_id)
        return row is not None and row.sighting.vessel_id is None

    def _mark(self, ids: Iterable[UUID], vessel: Vessel | None) -> None:
        marked = set(ids)
        for one in marked:
            self._places.pop(one, None)
        if vessel is None:
            self._uncompared -= marked
            self._ungrouped |= marked
        else:
            self._uncompared |= marked
            self._ungrouped -= marked

    def counts(self) -> GalleryCounts:
        with self._lock:
            visible = {i for i, v in self._vessels.items() if v.state.visible}
            return GalleryCounts(
                len(visible), sum(row.sighting.vessel_id in visible for row in self._rows.values())
            )

    def ping(self) -> None:
        return

    def open_sightings(self, before: datetime | None, beyond: int | None) -> list[tuple[UUID, str]]:
        with self._lock:
            open_ones = [r.sighting for r in self._rows.values() if r.sighting.vessel_id is None]
        open_ones.sort(key=lambda one: (one.recorded_at, one.id), reverse=True)
        return [
            (one.id, one.chip_sha256)
            for place, one in enumerate(open_ones)
            if (before is not None and one.recorded_at < before)
            or (beyond is not None and place >= beyond)
        ]

    def delete_open_sightings(self, ids: Collection[UUID]) -> None:
        with self._lock:
            for i in set(ids) & self._rows.keys():
                if self._rows[i].sighting.vessel_id is None:
                    del self._rows[i]

    def require_intact(self, ids: Collection[UUID]) -> None:
        """Raise nothing: nothing is damaged here."""

    def check_records(self) -> Iterator[list[RecordCheck]]:
        return iter(())

    def close(self) -> None:
        return


def _id(vessel: Vessel) -> UUID:
    return vessel.id


def _owned(row: Row, vessel: Vessel | None) -> Row:
    return replace(
        row,
        sighting=row.sighting.model_copy(update={"vessel_id": vessel.id if vessel else None}),
        vessel_type=vessel.type.casefold() if vessel and vessel.type else None,
        vessel_length_m=vessel.length_m if vessel else None,
    )


def _listed(vessel: Vessel, where: VesselFilter) -> bool:
    name = where.name is None or where.name.casefold() in (vessel.name or "").casefold()
    exact = all(getattr(where, key) in (None, getattr(vessel, key)) for key in ("imo", "mmsi"))
    kind = where.type is None or where.type.casefold() == (vessel.type or "").casefold()
    return vessel.state.visible and name and exact and kind and _found(vessel, where.search)


def _found(vessel: Vessel, search: str | None) -> bool:
    if search is None:
        return True
    known = vessel_words(vessel)[WORDS]
    words = words_of(search)
    return bool(words) and all(any(one.startswith(word) for one in known) for word in words)


def _passes(row: Row, where: SightingFilter) -> bool:
    sighting, length = row.sighting, row.vessel_length_m
    types = None if where.vessel_types is None else {t.casefold() for t in where.vessel_types}
    low, high = where.vessel_length_m or (0.0, math.inf)
    return (
        where.modality in (None, sighting.modality)
        and sighting.chip_sha256 not in where.other_chips
        and (types is None or row.vessel_type in types)
        and (length is None or low <= length <= high)
    )
