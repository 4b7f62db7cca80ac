"""Find enrolled copies of a chip: a chip is no evidence for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from service.identity.evidence.checks import length_ok
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import (
    EmbeddedSighting,
    Sighting,
    SightingFilter,
    VesselHit,
    VesselQuery,
)
from service.identity.records.vessels import Vessel

COPY_SIMILARITY = 0.985
"""The cosine from which chips of one size and sensor type count as copies.

With the shipped bundle, a JPEG of quality 75 of an optical chip of the demo embeds with 0.988 or
more, two looks at one ship with 0.977 or less (`tests/golden/test_copies.py`).
"""

COPY_SIZE_TOLERANCE = 0.01
NAMED_VESSELS = 3


@dataclass(slots=True)
class Copies:
    """The vessels for which a chip, or a copy of it, is enrolled, and the digests of the copies."""

    vessels: dict[UUID, Vessel] = field(default_factory=dict)
    chips: set[str] = field(default_factory=set)

    def search_each(
        self,
        gallery: Gallery,
        searches: Sequence[tuple[EmbeddedSighting, SightingFilter]],
        vessels: int,
    ) -> list[list[VesselHit]]:
        """Make several searches, each without copies of its query; remember whose these are."""
        found: dict[int, list[VesselHit]] = {}
        asking = dict(enumerate(searches))
        while asking:
            queries = [VesselQuery(query.vector, where) for query, where in asking.values()]
            answers = gallery.search_each(queries, vessels)
            again = {}
            for (place, (query, where)), hits in zip(asking.items(), answers, strict=True):
                found[place] = hits
                if copies := self._copies_among(query.sighting, hits):
                    others = (*where.other_chips, *sorted(copies))
                    again[place] = (query, where.model_copy(update={"other_chips": others}))
            asking = again
        return [found[place] for place in range(len(searches))]

    def _copies_among(self, query: Sighting, hits: Iterable[VesselHit]) -> set[str]:
        """Return the digests of the hits that are copies, and remember their vessels."""
        copies: set[str] = set()
        for hit in hits:
            if found := {
                o.sighting.chip_sha256 for o in hit.hits if is_copy(query, o.sighting, o.similarity)
            }:
                self.vessels[hit.vessel.id] = hit.vessel
                copies |= found
        self.chips |= copies
        return copies

    def warnings(self, consequence: str) -> tuple[str, ...]:
        """Return a warning that names the vessels; none without copies."""
        if not self.vessels:
            return ()
        names = named(self.vessels.values())
        return (f"this chip, or a copy of it, is enrolled for {names}: {consequence}",)


def is_copy(query: Sighting, known: Sighting, similarity: float) -> bool:
    """Return whether a known chip is the chip of the query, or hardly differs from it.

    `similarity` is the cosine of their embeddings.
    """
    if known.chip_sha256 == query.chip_sha256:
        return True
    return (
        known.modality is query.modality
        and similarity >= COPY_SIMILARITY
        and length_ok(query.length_m, known.length_m, COPY_SIZE_TOLERANCE)
        and length_ok(query.width_m, known.width_m, COPY_SIZE_TOLERANCE)
    )


def named(vessels: Iterable[Vessel]) -> str:
    """Return the names and ids of the first vessels, and the number of the others."""
    listed = [f"vessel {one.id}" + (f" ({one.name})" if one.name else "") for one in vessels]
    more = len(listed) - NAMED_VESSELS
    return ", ".join(listed[:NAMED_VESSELS]) + (f" and {more} more" if more > 0 else "")
