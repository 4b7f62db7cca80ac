"""The port of the gallery: vessels, and the embedded sightings of one bundle."""

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    Sighting,
    SightingFilter,
    VesselHit,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState


class Gallery(Protocol):
    """Vessels, and the embedded sightings of one bundle. Safe to call from many threads.

    Every writing method returns only when the change would survive a crash. All raise
    `StoreUnavailableError` when the store does not answer and `StoreFullError` when it is full;
    nothing is then acknowledged.
    """

    def put_vessel(self, vessel: Vessel) -> None:
        """Insert or replace."""
        ...

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        """The vessels that exist among `ids`, in any state."""
        ...

    def find_by_imo(self, imo: str) -> list[Vessel]:
        """Vessels in any state that carry this IMO number."""
        ...

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]: ...

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        """Visible vessels only.

        Raises:
            InvalidRequestError: the cursor is not one that an earlier page returned.
        """
        ...

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Forget the vessel record alone; absent is fine."""
        ...

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        """Insert or replace, all or none, as sightings of `vessel` (None: identity open)."""
        ...

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        """Insert or replace as sightings whose identity is open; one that has a vessel stays.

        Whoever gives the same sighting a vessel meanwhile, it keeps that vessel.
        """
        ...

    def move_sightings(self, ids: Sequence[UUID], vessel: Vessel | None) -> None:
        """Give sightings to another vessel (None: identity open); ids and embeddings stay."""
        ...

    def sync_vessel(self, vessel: Vessel) -> None:
        """Refresh what the vessel's sightings know of it (type, registered length)."""
        ...

    def get_sighting(self, sighting_id: UUID) -> Sighting | None: ...

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        """All sightings of these vessels, ordered by recording time."""
        ...

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        """Absent ids are fine."""
        ...

    def uses_chip(self, chip_sha256: str) -> bool:
        """Whether any sighting still refers to these bytes."""
        ...

    def search(
        self,
        vector: NDArray[np.float32],
        where: SightingFilter,
        vessels: int,
        sightings_per_vessel: int = 3,
    ) -> list[VesselHit]:
        """The most similar visible vessels, best first, grouped from their sightings.

        Args:
            vector: float32 `[D]`, unit length.
            where: which enrolled sightings count.
            vessels: at most this many vessels.
            sightings_per_vessel: at most this many hits for each.
        """
        ...

    def counts(self) -> GalleryCounts: ...

    def ping(self) -> None:
        """Reach the store, or raise `StoreUnavailableError`; `StoreFullError` without room."""
        ...

    def close(self) -> None: ...
