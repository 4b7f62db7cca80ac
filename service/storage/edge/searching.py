"""Searches for vessels in a shard, which cannot group by vessel.

A search for ids looks at more and more of the nearest sightings until they belong to enough
vessels. A second one completes the best sightings of these vessels, all at once. Only then are
records read. Every call of Edge stops all threads of the process, so there are three of them for
all sensors together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from service.identity.records.sightings import Sighting, VesselHit
from service.identity.records.vessels import Vessel
from service.storage.points import payloads
from service.storage.points.filters import Clause, Condition, of_vessels
from service.storage.points.grouping import Found, Near, NearestQuery, first_limit


@dataclass(slots=True)
class EdgeSearch:
    """One search: for `count` visible vessels with their best `per_vessel` sightings."""

    vector: list[float]
    clauses: tuple[Clause, ...]
    count: int
    per_vessel: int
    found: Found = field(init=False)
    vessels: list[UUID] | None = None
    """The vessels found, best first; None until the search is done."""

    def __post_init__(self) -> None:
        self.found = Found(first_limit(self.count))

    def first_query(self) -> NearestQuery:
        """Return the search for vessels."""
        return NearestQuery(self.vector, Condition(self.clauses), self.found.limit)

    def take(self, nearest: Iterable[Near], is_visible: Callable[[UUID], bool]) -> None:
        """Choose the best visible vessels; look at more sightings next if there are too few."""
        self.found.take(nearest)
        visible = [one for one in self.found.by_vessel if is_visible(one)]
        if self.found.complete or len(visible) >= self.count:
            self.vessels = visible[: self.count]
        else:
            self.found.grow()

    def lacking(self) -> list[UUID]:
        """Return the vessels that may have further sightings among their best."""
        if self.found.complete:
            return []
        best = self.found.by_vessel
        return [one for one in self.vessels or () if len(best[one]) < self.per_vessel]

    def further_query(self, sightings: int) -> NearestQuery:
        """Return the search for all sightings of the vessels that lack some; so many in all."""
        where = Condition((*self.clauses, of_vessels(self.lacking())))
        return NearestQuery(self.vector, where, sightings)

    def complete(self, nearest: Iterable[Near]) -> None:
        """Replace the sightings of the vessels that lacked some."""
        further = Found(0)
        further.take(nearest)
        self.found.by_vessel |= further.by_vessel

    def best(self) -> list[tuple[UUID, list[Near]]]:
        """Return the vessels found with their best sightings."""
        best = self.found.by_vessel
        return [(one, best[one][: self.per_vessel]) for one in self.vessels or ()]

    def hits(
        self, vessels: Mapping[UUID, Vessel], sightings: Mapping[UUID, Sighting]
    ) -> list[VesselHit]:
        """Return the vessels found, best first, with the records of their best sightings."""
        return [
            VesselHit(
                vessels[vessel_id],
                [payloads.hit_of(sightings[one.sighting_id], one.similarity) for one in nearest],
            )
            for vessel_id, nearest in self.best()
        ]
