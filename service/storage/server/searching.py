"""Searches for vessels on a Qdrant server: which records each of them still needs.

One search finds ids, in one request for all sensors. The records of the vessels and sightings that
it ranks first are read together in a second one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from service.identity.records.sightings import VesselHit
from service.identity.records.vessels import Vessel
from service.storage.points import payloads
from service.storage.points.filters import Condition
from service.storage.points.grouping import Found, Near, NearestQuery, first_limit
from service.storage.points.payloads import Payload

SPARE_VESSELS = 8
"""How many more vessels are read than are wanted, in place of those that turn out hidden."""


SHOWN_VESSELS = 8
"""How many vessels of a search an answer probably shows: their embeddings are checked."""


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
    """One search: for `vessels` visible vessels with their best `per_vessel` sightings."""

    vector: list[float]
    where: Condition
    vessels: int
    per_vessel: int
    found: Found = field(init=False)
    asked: bool = False

    def __post_init__(self) -> None:
        self.found = Found(first_limit(self.vessels))

    def needs_sightings(self, records: SearchRecords) -> bool:
        """Return whether to search, at first or, with a larger limit, for more vessels."""
        if not self.asked:
            self.asked = True
            return True
        if self.found.complete or len(self.first(records)) >= self.vessels:
            return False
        self.found.grow()
        return True

    def query(self) -> NearestQuery:
        """Return the search for the nearest sightings."""
        return NearestQuery(self.vector, self.where, self.found.limit)

    def candidates(self, records: SearchRecords) -> list[UUID]:
        """Return the vessels whose records are not read, and that may be among the first."""
        wanted = self.vessels - len(self.first(records))
        if wanted <= 0:
            return []
        unread = [one for one in self.found.by_vessel if one not in records.vessels]
        return unread[: wanted + SPARE_VESSELS]

    def best(self, vessel_id: UUID) -> list[Near]:
        """Return the best sightings of a vessel."""
        return self.found.by_vessel.get(vessel_id, [])[: self.per_vessel]

    def hits(self, records: SearchRecords) -> list[VesselHit]:
        """Return the vessels found, best first; sightings that were moved since are left out."""
        hits = []
        for vessel_id in self.first(records):
            vessel = records.vessels[vessel_id]
            rows = [(records.sightings.get(n.sighting_id), n) for n in self.best(vessel_id)]
            known = [
                payloads.hit_from(row, near.similarity)
                for row, near in rows
                if row and row.get(payloads.VESSEL_ID) == str(vessel_id)
            ]
            if vessel is not None and known:
                hits.append(VesselHit(vessel, known))
        return hits

    def first(self, records: SearchRecords) -> list[UUID]:
        """Return the visible vessels found, best first, as far as their records are read."""
        return [one for one in self.found.by_vessel if records.shows(one)][: self.vessels]


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
