"""Group the nearest sightings by vessel: what the searches of both adapters have in common."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from service.storage.points.filters import Condition

FIRST_LIMIT = 64
SPARE = 4
"""How many sightings are looked at first for each vessel that is wanted."""

GROWTH = 4
"""How many times more are looked at when these belong to too few vessels."""


@dataclass(frozen=True, slots=True)
class NearestQuery:
    """A search for the `limit` points nearest to a vector, D floats of unit length."""

    vector: list[float]
    where: Condition
    limit: int


@dataclass(frozen=True, slots=True)
class Near:
    """A sighting that a search found, before its record is read."""

    sighting_id: UUID
    vessel_id: UUID
    similarity: float


@dataclass(slots=True)
class Found:
    """The nearest sightings of one search, by vessel, best vessel first.

    Attributes:
        limit: how many sightings were looked at.
        complete: whether these are all sightings that pass the filter.
        by_vessel: the sightings of each vessel, best first.
    """

    limit: int
    complete: bool = False
    by_vessel: dict[UUID, list[Near]] = field(default_factory=dict)

    def take(self, nearest: Iterable[Near]) -> None:
        """Replace what was found by the result of a search with `limit`, best first."""
        self.by_vessel = {}
        count = 0
        for one in nearest:
            self.by_vessel.setdefault(one.vessel_id, []).append(one)
            count += 1
        self.complete = count < self.limit

    def grow(self) -> None:
        """Look at more sightings in the next search."""
        self.limit *= GROWTH


def first_limit(vessels: int) -> int:
    """Return how many sightings to look at first for so many vessels."""
    return max(FIRST_LIMIT, SPARE * vessels)
