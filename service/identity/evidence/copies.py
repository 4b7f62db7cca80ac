"""Find enrolled copies of a chip: a chip is no evidence for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.identity.evidence.checks import length_ok
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import (
    EmbeddedSighting,
    Found,
    SearchResults,
    Sighting,
    SightingFilter,
    VesselQuery,
)
from service.identity.records.vessels import Vessel

COPY_SIMILARITY = 0.975
"""The cosine from which chips of one size and sensor type count as copies.

With the shipped bundle, a JPEG of quality 75 of an optical chip of the demo embeds with 0.983 or
more, two looks at one ship with 0.965 or less (`tests/golden/test_copies.py`).
"""

COPY_SIZE_TOLERANCE = 0.01
NAMED_VESSELS = 3
COMPARED_VESSELS = 10
"""How many of the most similar vessels are searched for copies of a chip that is enrolled."""


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
    ) -> SearchResults:
        """Make several searches, each without copies of its query; remember whose these are."""
        return search_without_copies(gallery, searches, [self] * len(searches), vessels)

    def among(self, query: Sighting, results: SearchResults, found: Found) -> set[str]:
        """Return the digests of those found that are copies, and remember their vessels."""
        copied = self.remember(query, results, found)
        chips = {results.sightings[row].chip_sha256 for row in found.sightings[copied]}
        self.chips |= chips
        return chips

    def remember(self, query: Sighting, results: SearchResults, found: Found) -> NDArray[np.bool_]:
        """Return which of the sightings found are copies, bool `[N]`; remember their vessels."""
        same_chip: NDArray[np.bool_] = results.chips[found.sightings] == query.chip_sha256
        copied = (found.similarity >= COPY_SIMILARITY) | same_chip
        for place in np.flatnonzero(copied):
            known = results.sightings[found.sightings[place]]
            copied[place] = is_copy(query, known, float(found.similarity[place]))
        for place in found.vessels[copied].tolist():
            self.vessels[results.vessels[place].id] = results.vessels[place]
        return copied

    def warnings(self, consequence: str) -> tuple[str, ...]:
        """Return a warning that names the vessels; none without copies."""
        if not self.vessels:
            return ()
        names = named(self.vessels.values())
        return (f"this chip, or a copy of it, is enrolled for {names}: {consequence}",)


def search_without_copies(
    gallery: Gallery,
    searches: Sequence[tuple[EmbeddedSighting, SightingFilter]],
    copies: Sequence[Copies],
    vessels: int,
) -> SearchResults:
    """Make several searches, each without copies of its query.

    Args:
        searches: the queries, and which sightings each is for.
        copies: remembers for each search whose the copies are.
    """
    while True:
        queries = [VesselQuery(query.vector, where) for query, where in searches]
        results = gallery.search_each(queries, vessels)
        found = [
            own.among(query.sighting, results, one)
            for own, (query, _), one in zip(copies, searches, results.found, strict=True)
        ]
        if not any(found):
            return results
        searches = [
            (query, where.model_copy(update={"other_chips": (*where.other_chips, *sorted(own))}))
            for (query, where), own in zip(searches, found, strict=True)
        ]


def copies_elsewhere(
    gallery: Gallery, chips: Sequence[EmbeddedSighting], vessel_id: UUID
) -> dict[str, tuple[str, ...]]:
    """Return a warning for each chip that, or a copy of it, is enrolled for other vessels too.

    Returns:
        The warnings by the digests of all chips, empty without copies.
    """
    if not chips:
        return {}
    found = [Copies() for _ in chips]
    searches = [(one, SightingFilter(modality=one.sighting.modality)) for one in chips]
    search_without_copies(gallery, searches, found, COMPARED_VESSELS)
    for copies in found:
        copies.vessels.pop(vessel_id, None)
    consequence = "one chip shows one ship, so one of the vessels is wrong"
    return {
        one.sighting.chip_sha256: copies.warnings(consequence)
        for one, copies in zip(chips, found, strict=True)
    }


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
