"""Search with a chip both ways round, because its bow may be at either end.

Chips that framing has turned or cut out show the bow at one end as often as at the other. Those
that were tight already mostly show it at the end at which the gallery's tight chips show it, so
that a half turn must be more similar by the bundle's `bow_preference`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.framing.half_turn import better_way
from service.contract.weighing.specs import CalibrationSpec
from service.identity.evidence.copies import Copies, is_copy
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import (
    EmbeddedSighting,
    Sighting,
    SightingFilter,
    SightingHit,
    VesselHit,
    WayRound,
)
from service.identity.uploads import HalfTurns


@dataclass(frozen=True, slots=True)
class BothWays:
    """A query and its half turn.

    Attributes:
        query: as it was framed.
        half_turned: its half turn, float32 `[D]`, unit length; None when it is compared as it is.
        calibration: the bundle's.
    """

    query: EmbeddedSighting
    half_turned: NDArray[np.float32] | None
    calibration: CalibrationSpec

    def search_each(
        self,
        gallery: Gallery,
        copies: Copies,
        filters: Sequence[SightingFilter],
        vessels: int,
    ) -> list[list[VesselHit]]:
        """Search without copies of the query, each sighting by the way in which it is more similar.

        Args:
            gallery: what is searched.
            copies: remembers whose copies were left out.
            filters: which sightings each search is for.
            vessels: the largest number of vessels that a search returns.

        Returns:
            For each filter the vessels, most similar first; up to twice `vessels`.
        """
        sides = [self.query]
        if self.half_turned is not None:
            sides.append(replace(self.query, vector=self.half_turned))
        searches = [(side, where) for side in sides for where in filters]
        found = copies.search_each(gallery, searches, vessels)
        straight, back = found[: len(filters)], found[len(filters) :]
        if self.half_turned is None:
            return straight
        return [self._joined(copies, *ways) for ways in zip(straight, back, strict=True)]

    def bows_are_open(self, found: Sequence[Sequence[VesselHit]]) -> bool:
        """Return whether most pairs of the query and a vessel found may differ by a half turn."""
        if self.half_turned is None:
            return False
        pairs = [self._is_open(vessel.hits[0].sighting) for hits in found for vessel in hits]
        return 2 * sum(pairs) > len(pairs) or bow_is_open(self.query.sighting)

    def _is_open(self, known: Sighting) -> bool:
        return bow_is_open(self.query.sighting) or bow_is_open(known)

    def _joined(
        self, copies: Copies, straight: Sequence[VesselHit], back: Sequence[VesselHit]
    ) -> list[VesselHit]:
        """Return the vessels of both searches, without sightings that are copies of the query."""
        pairs = _by_vessel(straight, back)
        compared = [pair.compared() for pair in pairs]
        hits = iter(self._by_better_way(list(chain.from_iterable(compared))))
        kept = []
        for pair, sightings in zip(pairs, compared, strict=True):
            # As many as one search returns, so that no vessel is weighed by more than others.
            most = max(len(found) for found in pair.hits)
            own = sorted(islice(hits, len(sightings)), key=lambda hit: -hit.similarity)
            others = [
                hit
                for hit in own[:most]
                if not is_copy(self.query.sighting, hit.sighting, hit.similarity)
            ]
            if len(others) < most:
                copies.vessels[pair.vessel.vessel.id] = pair.vessel.vessel
            if others:
                kept.append(VesselHit(pair.vessel.vessel, others))
        return sorted(kept, key=lambda one: -one.hits[0].similarity)

    def _by_better_way(
        self, compared: Sequence[tuple[Sighting, float, float]]
    ) -> list[SightingHit]:
        """Return sightings as hits, each by its better way.

        Args:
            compared: each sighting with the similarities of the query and of its half turn.
        """
        if not compared:
            return []
        sightings, as_framed, turned = zip(*compared, strict=True)
        slope, preference = self.calibration.certainty_slope, self.calibration.bow_preference or 0.0
        preferences = [0.0 if self._is_open(one) else preference for one in sightings]
        way = better_way(as_framed, turned, slope or 0.0, preferences)
        ways = (way.similarity.tolist(), way.turned.tolist(), way.certainty.tolist())
        return [
            SightingHit(
                sighting,
                similarity,
                WayRound(half_turned=turned, certainty=None if slope is None else certainty),
            )
            for sighting, similarity, turned, certainty in zip(sightings, *ways, strict=True)
        ]


def half_turns_for(calibration: CalibrationSpec) -> HalfTurns:
    """Return which queries a bundle compares both ways round."""
    return HalfTurns.OPEN if calibration.bow_preference is None else HalfTurns.FRAMED


def bow_is_open(sighting: Sighting) -> bool:
    """Return whether the bow of a chip may be at either end, see `Framing.bow_is_open`."""
    return sighting.framing is not None and sighting.framing.bow_is_open


@dataclass(frozen=True, slots=True)
class _Pair:
    """What both searches found of one vessel.

    Attributes:
        vessel: the vessel, as either search returned it.
        hits: its sightings, as framed and half turned.
        floors: the similarity, at most, of sightings that the search left out.
    """

    vessel: VesselHit
    hits: tuple[Sequence[SightingHit], Sequence[SightingHit]]
    floors: tuple[float, float]

    def compared(self) -> list[tuple[Sighting, float, float]]:
        """Return its sightings with their similarities in both searches.

        A sighting that a search left out is at most as similar as the last that it returned.
        """
        sightings = {hit.sighting.id: hit.sighting for hits in self.hits for hit in hits}
        straight, back = ({hit.sighting.id: hit.similarity for hit in hits} for hits in self.hits)
        low, lowest = self.floors
        return [(one, straight.get(i, low), back.get(i, lowest)) for i, one in sightings.items()]


def _by_vessel(straight: Sequence[VesselHit], back: Sequence[VesselHit]) -> list[_Pair]:
    found: list[dict[UUID, VesselHit]] = [
        {h.vessel.id: h for h in hits} for hits in (straight, back)
    ]
    lowest = [min((h.hits[0].similarity for h in hits), default=-1.0) for hits in (straight, back)]
    pairs = []
    for vessel_id, vessel in {**found[1], **found[0]}.items():
        both = [side.get(vessel_id) for side in found]
        hits = [one.hits if one else [] for one in both]
        floors = [
            one.hits[-1].similarity if one else low for one, low in zip(both, lowest, strict=True)
        ]
        pairs.append(_Pair(vessel, (hits[0], hits[1]), (floors[0], floors[1])))
    return pairs
