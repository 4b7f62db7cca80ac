"""Search with a chip both ways round, when nothing tells at which end its bow is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.framing.half_turn import better_way
from service.identity.evidence.copies import Copies, is_copy
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import (
    EmbeddedSighting,
    SightingFilter,
    SightingHit,
    VesselHit,
    WayRound,
)


@dataclass(frozen=True, slots=True)
class BothWays:
    """A query and its half turn.

    Attributes:
        query: as it was framed.
        half_turned: its half turn, float32 `[D]`, unit length; None when it is compared as it is.
        certainty_slope: see `better_way`; None if the bundle does not measure it.
    """

    query: EmbeddedSighting
    half_turned: NDArray[np.float32] | None
    certainty_slope: float | None

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

    def _joined(
        self, copies: Copies, straight: Sequence[VesselHit], back: Sequence[VesselHit]
    ) -> list[VesselHit]:
        """Return the vessels of both searches, without sightings that are copies of the query."""
        merged = [self._merged(pair) for pair in _by_vessel(straight, back)]
        kept = []
        for vessel in merged:
            hits = [hit for hit in vessel.hits if not is_copy(self.query.sighting, hit)]
            if len(hits) < len(vessel.hits):
                copies.vessels[vessel.vessel.id] = vessel.vessel
            if hits:
                kept.append(VesselHit(vessel.vessel, hits))
        return sorted(kept, key=lambda one: -one.hits[0].similarity)

    def _merged(self, pair: "_Pair") -> VesselHit:
        """Return the hits of one vessel, each by its better way, most similar first."""
        sightings = {hit.sighting.id: hit.sighting for hits in pair.hits for hit in hits}
        cosines = [
            # A sighting that a search left out is at most as similar as the last that it returned.
            [similar.get(i, floor) for i in sightings]
            for similar, floor in (
                ({hit.sighting.id: hit.similarity for hit in hits}, floor)
                for hits, floor in zip(pair.hits, pair.floors, strict=True)
            )
        ]
        way = better_way(cosines[0], cosines[1], self.certainty_slope or 0.0)
        known = self.certainty_slope is not None
        hits = [
            SightingHit(
                sighting,
                float(way.similarity[n]),
                WayRound(
                    half_turned=bool(way.turned[n]),
                    certainty=float(way.certainty[n]) if known else None,
                ),
            )
            for n, sighting in enumerate(sightings.values())
        ]
        # As many as one search returns, so that no vessel is weighed by more chips than others.
        most = max(len(hits) for hits in pair.hits)
        return VesselHit(pair.vessel.vessel, sorted(hits, key=lambda hit: -hit.similarity)[:most])


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
