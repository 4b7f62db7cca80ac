"""Counts of the gallery, kept in memory by the only process that has the gallery open.

Nothing is kept of sightings without a vessel, which grow in number with each stored match.
"""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from service.identity.records.sightings import GalleryCounts
from service.identity.records.vessels import VesselState


class GalleryCounter:
    """The state of each vessel, and which sightings it has. For one thread at a time."""

    def __init__(self) -> None:
        self._states: dict[UUID, VesselState] = {}
        self._vessel_of: dict[UUID, UUID] = {}
        self._sightings_of: Counter[UUID] = Counter()
        self._counts: GalleryCounts | None = None

    def put_vessel(self, vessel_id: UUID, state: VesselState) -> None:
        self._states[vessel_id] = state
        self._counts = None

    def delete_vessel(self, vessel_id: UUID) -> None:
        self._states.pop(vessel_id, None)
        self._counts = None

    def put_sightings(self, ids: Iterable[UUID], vessel_id: UUID | None) -> None:
        for sighting_id in ids:
            self._forget(sighting_id)
            if vessel_id is not None:
                self._vessel_of[sighting_id] = vessel_id
                self._sightings_of[vessel_id] += 1
        self._counts = None

    def delete_sightings(self, ids: Iterable[UUID]) -> None:
        for sighting_id in ids:
            self._forget(sighting_id)
        self._counts = None

    def has_vessel(self, sighting_id: UUID) -> bool:
        """Return whether the sighting exists and has a vessel."""
        return sighting_id in self._vessel_of

    def sightings_of(self, vessel_ids: Iterable[UUID]) -> int:
        """Return how many sightings these vessels have."""
        return sum(self._sightings_of[one] for one in vessel_ids)

    def is_visible(self, vessel_id: UUID) -> bool:
        state = self._states.get(vessel_id)
        return state is not None and state.visible

    def counts(self) -> GalleryCounts:
        """Return the counts of visible vessels and their sightings; cached until a change."""
        if self._counts is None:
            visible = [v for v, state in self._states.items() if state.visible]
            self._counts = GalleryCounts(len(visible), sum(self._sightings_of[v] for v in visible))
        return self._counts

    def _forget(self, sighting_id: UUID) -> None:
        vessel_id = self._vessel_of.pop(sighting_id, None)
        if vessel_id is not None:
            self._sightings_of[vessel_id] -= 1
            if not self._sightings_of[vessel_id]:
                del self._sightings_of[vessel_id]
