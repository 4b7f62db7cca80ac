"""Searches for vessels on a Qdrant server: which records each of them still needs.

One search finds ids, in one request for all sensors. The records of the vessels and sightings that
it ranks first are read together in a second one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from service.identity.ports.gallery import SIGHTINGS_OF_VESSEL
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel
from service.storage.points import payloads
from service.storage.points.filters import Condition
from service.storage.points.payloads import Payload
from service.storage.server.collection import NearestQuery

FIRST_LIMIT = 64
SPARE = 4
"""How many sightings are looked at first for each vessel that is wanted."""

GROWTH = 4
"""How many times more are looked at when these belong to too few vessels."""

SPARE_VESSELS = 8
"""How many more vessels are read than are wanted, in place of those that turn out hidden."""

SHOWN_VESSELS = 8
"""How many vessels of a search an answer probably shows: their embeddings are checked."""


@dataclass(frozen=True, slots=True)
class Near:
    """A sighting that a search found, before its record is read."""

    sighting_id: UUID
    vessel_id: UUID
    similarity: float


@dataclass(frozen=True, slots=True)
class Unread:
    """Ids of records to read, and of sightings whose embeddings to check."""

    vessels: list[UUID]
    sightings: list[UUID]
    embeddings: list[UUID]


@dataclass(slots=True)
class SearchRecords:
    """The records read so far; None for one that does not exist any more."""

    vessels: dict[UUID, Vessel | None] = field(default_factory=dict)
    sightings: dict[UUID, Payload | None] = field(default_factory=dict)
    _parsed: dict[UUID, Sighting] = field(default_factory=dict)

    def sighting_of(self, vessel_id: UUID, sighting_id: UUID) -> Sighting | None:
        """Return a sighting that was read, unless it was moved to another vessel."""
        row = self.sightings.get(sighting_id)
        if not row or row.get(payloads.VESSEL_ID) != str(vessel_id):
            return None
        if sighting_id not in self._parsed:
            self._parsed[sighting_id] = payloads.sighting_from(row)
        return self._parsed[sighting_id]

    def add(
        self, asked: Unread, vessels: dict[UUID, Payload], sightings: dict[UUID, Payload]
    ) -> None:
        """Add what was read of the records asked for."""
        self.vessels |= dict.fromkeys(asked.vessels) | payloads.vessels_by_id(vessels.values())
        self.sightings |= dict.fromkeys(asked.sightings) | sightings

    def shows(self, vessel_id: UUID) -> bool:
        """Whether the vessel was read and is visible."""
        vessel = self.vessels.get(vessel_id)
        return vessel is not None and vessel.state.visible


@dataclass(slots=True)
class VesselSearch:
    """One search: for `vessels` visible vessels with their best sightings.

    Attributes:
        limit: how many sightings were looked at.
        complete: whether these are all sightings that pass the filter.
        by_vessel: the sightings of each vessel, best first; the best vessel first.
    """

    vector: list[float]
    where: Condition
    vessels: int
    limit: int = 0
    complete: bool = False
    by_vessel: dict[UUID, list[Near]] = field(default_factory=dict)

    def needs_sightings(self, records: SearchRecords) -> bool:
        """Return whether to search: for the first time, or with a larger limit for more vessels."""
        if not self.limit:
            self.limit = max(FIRST_LIMIT, SPARE * self.vessels)
        elif self.complete or len(self.first(records)) >= self.vessels:
            return False
        else:
            self.limit *= GROWTH
        return True

    def query(self) -> NearestQuery:
        """Return the search for the nearest sightings."""
        return NearestQuery(self.vector, self.where, self.limit)

    def take(self, nearest: Sequence[Near]) -> None:
        """Replace what was found by the result of a search with `limit`, best first."""
        self.by_vessel = {}
        for one in nearest:
            self.by_vessel.setdefault(one.vessel_id, []).append(one)
        self.complete = len(nearest) < self.limit

    def candidates(self, records: SearchRecords) -> list[UUID]:
        """Return the vessels whose records are not read, and that may be among the first."""
        wanted = self.vessels - len(self.first(records))
        if wanted <= 0:
            return []
        unread = [one for one in self.by_vessel if one not in records.vessels]
        return unread[: wanted + SPARE_VESSELS]

    def best(self, vessel_id: UUID) -> list[Near]:
        """Return the best sightings of a vessel."""
        return self.by_vessel.get(vessel_id, [])[:SIGHTINGS_OF_VESSEL]

    def hits(self, records: SearchRecords) -> list[tuple[Vessel, Sighting, float]]:
        """Return the vessels found, best first; sightings that were moved since are left out."""
        hits = []
        for vessel_id in self.first(records):
            vessel = records.vessels[vessel_id]
            for near in self.best(vessel_id):
                sighting = records.sighting_of(vessel_id, near.sighting_id)
                if vessel is not None and sighting is not None:
                    hits.append((vessel, sighting, payloads.cosine(near.similarity)))
        return hits

    def first(self, records: SearchRecords) -> list[UUID]:
        """Return the visible vessels found, best first, as far as their records are read."""
        return [one for one in self.by_vessel if records.shows(one)][: self.vessels]


def unread(searches: Iterable[VesselSearch], records: SearchRecords) -> Unread | None:
    """Return the records that the searches need next, each once; None if they need none."""
    vessels: dict[UUID, None] = {}
    sightings: dict[UUID, None] = {}
    embeddings: dict[UUID, None] = {}
    for search in searches:
        candidates = search.candidates(records)
        vessels |= dict.fromkeys(candidates)
        shown = search.first(records)
        for vessel_id in (*candidates, *shown):
            sightings |= dict.fromkeys(near.sighting_id for near in search.best(vessel_id))
        for vessel_id in candidates[:SHOWN_VESSELS]:
            embeddings |= dict.fromkeys(near.sighting_id for near in search.best(vessel_id)[:1])
    missing = [one for one in sightings if one not in records.sightings]
    return Unread(list(vessels), missing, list(embeddings)) if vessels or missing else None
