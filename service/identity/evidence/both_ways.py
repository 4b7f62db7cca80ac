"""Search with a chip both ways round, because its bow may be at either end.

Chips that framing has turned or cut out show the bow at one end as often as at the other. Those
that were tight already mostly show it at the end at which the gallery's tight chips show it, so
that a half turn must be more similar by the bundle's `bow_preference`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from service.contract.framing.half_turn import BetterWay, better_way
from service.contract.weighing.specs import CalibrationSpec
from service.identity.evidence.copies import Copies
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import (
    EmbeddedSighting,
    Found,
    SearchResults,
    Sighting,
    SightingFilter,
    VesselHit,
    WayRound,
)
from service.identity.uploads import HalfTurns

Places = NDArray[np.intp]
Similarity = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BothWays:
    """A query and its half turn.

    Attributes:
        query: as it was framed.
        half_turned: its half turn, float32 `[D]`, unit length; None when it is compared as it is.
    """

    query: EmbeddedSighting
    half_turned: NDArray[np.float32] | None
    calibration: CalibrationSpec

    def search_each(
        self, gallery: Gallery, copies: Copies, filters: Sequence[SightingFilter], vessels: int
    ) -> list[list[VesselHit]]:
        """Search without copies of the query, each sighting by the way in which it is more similar.

        Args:
            copies: remembers whose copies were left out.

        Returns:
            For each filter the vessels, most similar first; up to twice `vessels`.
        """
        sides = [self.query]
        if self.half_turned is not None:
            sides.append(replace(self.query, vector=self.half_turned))
        searches = [(side, where) for side in sides for where in filters]
        results = copies.search_each(gallery, searches, vessels)
        straight, back = results.found[: len(filters)], results.found[len(filters) :]
        if self.half_turned is None:
            return [_vessel_hits(results, one, repeat(None)) for one in straight]
        return [self._joined(results, copies, *ways) for ways in zip(straight, back, strict=True)]

    def bows_are_open(self, found: Sequence[Sequence[VesselHit]]) -> bool:
        """Return whether most pairs of the query and a vessel found may differ by a half turn."""
        if self.half_turned is None:
            return False
        if bow_is_open(self.query.sighting):
            return True
        pairs = [bow_is_open(vessel.sightings[0]) for hits in found for vessel in hits]
        return 2 * sum(pairs) > len(pairs)

    def _joined(
        self, results: SearchResults, copies: Copies, straight: Found, back: Found
    ) -> list[VesselHit]:
        """Return the vessels of both searches, without sightings that are copies of the query."""
        ways = (straight, back)
        rows = _first_seen(straight.sightings, back.sightings)  # [K]
        owners = np.zeros(len(results.sightings), np.intp)
        for one in ways:
            owners[one.sightings] = one.vessels
        owners = owners[rows]
        counts = [np.bincount(one.vessels, minlength=len(results.vessels)) for one in ways]
        # As many as one search returns, so that no vessel is weighed by more than others.
        most = np.maximum(*counts)
        place = np.zeros(len(results.vessels), np.intp)
        vessels = _first_seen(back.vessels, straight.vessels)
        place[vessels] = np.arange(len(vessels))
        better = self._better_way(
            [results.sightings[row] for row in rows.tolist()],
            _similarities(straight, rows, owners, results),
            _similarities(back, rows, owners, results),
        )
        order = np.lexsort((-better.similarity, place[owners]))  # vessel by vessel, best first
        places = place[owners[order]]
        turn = np.arange(len(order)) - np.searchsorted(places, places)  # within its vessel, from 0
        order = order[turn < most[owners[order]]]
        joined = Found(owners[order], rows[order], better.similarity[order])
        kept = ~copies.remember(self.query.sighting, results, joined)
        order = order[kept]
        joined = Found(owners[order], rows[order], better.similarity[order])
        firsts = order[joined.firsts]
        certain = self.calibration.certainty_slope is not None
        pairs = zip(better.turned[firsts].tolist(), better.certainty[firsts].tolist(), strict=True)
        shown = [WayRound(turned, share if certain else None) for turned, share in pairs]
        return sorted(_vessel_hits(results, joined, shown), key=lambda one: -one.similarity)

    def _better_way(
        self, known: Sequence[Sighting], as_framed: Similarity, turned: Similarity
    ) -> BetterWay:
        """Compare the query and its half turn with known sightings, by float64 cosines `[K]`."""
        slope, preference = self.calibration.certainty_slope, self.calibration.bow_preference or 0.0
        if bow_is_open(self.query.sighting):
            return better_way(as_framed, turned, slope or 0.0)
        preferences = [0.0 if bow_is_open(one) else preference for one in known]
        return better_way(as_framed, turned, slope or 0.0, preferences)


def half_turns_for(calibration: CalibrationSpec) -> HalfTurns:
    """Return which queries a bundle compares both ways round."""
    return HalfTurns.OPEN if calibration.bow_preference is None else HalfTurns.FRAMED


def bow_is_open(sighting: Sighting) -> bool:
    """Return whether the bow of a chip may be at either end, see `Framing.bow_is_open`."""
    return sighting.framing.bow_is_open


def _first_seen(first: Places, second: Places) -> Places:
    """Return the numbers in two arrays, each once, in their order."""
    every = np.concatenate([first, second])
    found: Places = every[np.sort(np.unique(every, return_index=True)[1])]
    return found


def _similarities(found: Found, rows: Places, owners: Places, results: SearchResults) -> Similarity:
    """Return the similarities of sightings in one of two searches, float64 `[K]`.

    A sighting that the search left out is at most as similar as the last of its vessel, or as the
    last vessel, that it returned.

    Args:
        rows: K sightings, places in the results.
    """
    lowest = found.similarity[found.firsts].min() if len(found.vessels) else -1.0
    floors = np.full(len(results.vessels), lowest)
    floors[found.vessels] = found.similarity  # the last sighting of a vessel counts
    similarity = np.full(len(results.sightings), np.nan)
    similarity[found.sightings] = found.similarity
    return np.where(np.isnan(similarity[rows]), floors[owners], similarity[rows])


def _vessel_hits(
    results: SearchResults, found: Found, ways: Iterable[WayRound | None]
) -> list[VesselHit]:
    """Return the vessels found with their sightings, each by its way round."""
    firsts, rows = found.firsts, found.sightings.tolist()
    starts = firsts.tolist()
    vessels, similarity = found.vessels[firsts].tolist(), found.similarity[firsts].tolist()
    return [
        VesselHit(
            results.vessels[vessel], [results.sightings[row] for row in rows[start:end]], best, way
        )
        for vessel, start, end, best, way in zip(
            vessels, starts, [*starts, len(rows)][1:], similarity, ways, strict=False
        )
    ]
