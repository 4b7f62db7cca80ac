"""Who is in the gallery, kept in memory by the adapter that is the only process on its data."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from service.identity.records.sightings import GalleryCounts
from service.identity.records.vessels import VesselState


class GalleryCounter:
    """Vessel states and which vessel each sighting belongs to. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._states: dict[UUID, VesselState] = {}
        self._owner_of: dict[UUID, UUID | None] = {}
        self._sightings_of: Counter[UUID] = Counter()
        self._counts: GalleryCounts | None = None

    def vessel_put(self, vessel_id: UUID, state: VesselState) -> None:
        self._states[vessel_id] = state
        self._counts = None

    def vessel_deleted(self, vessel_id: UUID) -> None:
        self._states.pop(vessel_id, None)
        self._counts = None

    def sightings_put(self, ids: Iterable[UUID], vessel_id: UUID | None) -> None:
        for sighting_id in ids:
            self._release(sighting_id)
            self._owner_of[sighting_id] = vessel_id
            if vessel_id is not None:
                self._sightings_of[vessel_id] += 1
        self._counts = None

    def owned(self, sighting_id: UUID) -> bool:
        """Whether the sighting exists and has a vessel."""
        return self._owner_of.get(sighting_id) is not None

    def known_sightings(self, ids: Iterable[UUID]) -> list[UUID]:
        """Those of `ids` that exist, open ones included."""
        return [i for i in ids if i in self._owner_of]

    def sightings_deleted(self, ids: Iterable[UUID]) -> None:
        for sighting_id in ids:
            self._release(sighting_id)
        self._counts = None

    def visible(self, vessel_id: UUID) -> bool:
        state = self._states.get(vessel_id)
        return state is not None and state.visible

    def counts(self) -> GalleryCounts:
        """Computed once after each change."""
        if self._counts is None:
            seen = [v for v, state in self._states.items() if state.visible]
            self._counts = GalleryCounts(len(seen), sum(self._sightings_of[v] for v in seen))
        return self._counts

    def _release(self, sighting_id: UUID) -> None:
        owner = self._owner_of.pop(sighting_id, None)
        if owner is not None:
            self._sightings_of[owner] -= 1
            if not self._sightings_of[owner]:
                del self._sightings_of[owner]
