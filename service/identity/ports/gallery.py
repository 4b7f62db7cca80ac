"""The port of the gallery: vessels, and the embedded sightings of one bundle."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.identity.records.checks import RecordCheck
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    GroupedSighting,
    GroupPlace,
    SearchResults,
    Sighting,
    SightingHit,
    VesselQuery,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselPage, VesselState

SIGHTINGS_OF_VESSEL = 3
"""The largest number of sightings of a vessel that a search returns."""


class Gallery(Protocol):
    """Vessels, and the embedded sightings of one bundle. Safe to call from many threads.

    A writing method returns when its change would survive a crash. All methods raise
    `StoreUnavailableError` when the store does not answer and `StoreFullError` when it is full; the
    change is then not acknowledged.
    """

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        """Insert or replace a vessel; `fence` is the token of the claim under which it is done."""

    def take_over(self, vessel_id: UUID, fence: UUID) -> None:
        """Replace the fence of a vessel that is being enrolled; another one stays unchanged."""

    def put_fenced(self, vessel: Vessel, fence: UUID) -> None:
        """Replace the stored vessel if it has this fence; otherwise change nothing."""

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        """Return the vessels that exist among `ids`, in any state."""

    def find_by_imo(self, imo: str) -> list[Vessel]:
        """Return the vessels in any state that carry this IMO number."""

    def vessels_in_state(self, states: Collection[VesselState]) -> list[Vessel]:
        """Return the vessels in one of these states."""

    def list_vessels(self, where: VesselFilter, limit: int, cursor: str | None) -> VesselPage:
        """List visible vessels in order of id.

        Raises:
            InvalidRequestError: no page of this filter returned this cursor.
        """

    def vessel_types(self, limit: int) -> list[str]:
        """Return the registered types of visible vessels, in lower case, the most common first."""

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Delete the vessel record only; an absent one is ignored."""

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        """Insert or replace sightings of `vessel` (None: of unknown identity), all or none."""

    def put_open_sightings(self, sightings: Sequence[EmbeddedSighting]) -> None:
        """Insert or replace sightings of unknown identity; one that has a vessel stays unchanged.

        If another writer assigned a vessel in the meantime, that assignment is kept.
        """

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        """Assign sightings to another vessel, or to none; ids and embeddings stay.

        Args:
            ids: the sightings; absent ids are ignored.
            origin: their `origin_vessel_id` from now on.
        """

    def sync_vessel(self, vessel: Vessel) -> None:
        """Copy the vessel's type and registered length to its sightings."""

    def get_sighting(self, sighting_id: UUID) -> Sighting | None:
        """Return a sighting; None when there is none with this id."""

    def sightings_of(self, vessel_ids: Collection[UUID]) -> list[Sighting]:
        """Return all sightings of these vessels, ordered by recording time."""

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        """Delete sightings; absent ids are ignored."""

    def uses_chip(self, chip_sha256: str) -> bool:
        """Return whether any sighting uses these bytes."""

    def unused_chips(self, chips: Collection[str]) -> set[str]:
        """Return those of these chips that no sighting uses, of whatever bundle."""

    def require_intact(self, ids: Collection[UUID]) -> None:
        """Compare the embeddings of sightings with their digests; absent ids are ignored.

        An adapter that keeps records in memory compares the stored records, too.

        Raises:
            StoreDamagedError: one is not what was written.
        """

    def search_each(self, queries: Sequence[VesselQuery], vessels: int) -> SearchResults:
        """Return for each query the most similar visible vessels, best first.

        Several queries take as few steps as one. Each vessel comes with its most similar sightings,
        at most `SIGHTINGS_OF_VESSEL`; an adapter may leave out those that are less similar than
        very many others.

        Args:
            queries: what to look for among the enrolled sightings, at least one.
        """

    def search_open(
        self, vector: NDArray[np.float32], modality: Modality, limit: int, compared: bool = False
    ) -> list[SightingHit]:
        """Return the most similar sightings of a sensor type without a vessel, best first.

        Args:
            vector: float32 `[D]`, unit length.
            modality: the sensor type, because similarities of two types cannot be compared.
            compared: leave out those that have not been compared with the others.
        """

    def uncompared(self, limit: int) -> list[EmbeddedSighting]:
        """Return sightings that got a vessel and are not marked as compared with open ones.

        The mark is made in the same write that gives a sighting its vessel.
        """

    def ungrouped(self, limit: int) -> list[EmbeddedSighting]:
        """Return open sightings that have not been compared with the others.

        The mark is made in the same write that stores the sighting or takes its vessel away.
        """

    def open_count(self) -> int:
        """Count the open sightings, perhaps roughly."""

    def place_in_group(self, places: Mapping[UUID, GroupPlace | None]) -> None:
        """Give open sightings their place in a group, or none; they are compared now.

        Sightings that are absent, or have a vessel by now, are ignored.
        """

    def compare_anew(self, ids: Collection[UUID]) -> None:
        """Take open sightings out of their groups, and mark them as not compared."""

    def members_of(self, groups: Collection[UUID]) -> list[GroupedSighting]:
        """Return the open sightings in these groups, in order of recording."""

    def group_sizes(self) -> dict[UUID, int]:
        """Return the number of different chips in each group of open sightings."""

    def mark_compared(self, ids: Collection[UUID]) -> None:
        """Mark sightings as compared with the open ones; absent ids are ignored."""

    def counts(self) -> GalleryCounts:
        """Count the visible vessels and their sightings."""

    def ping(self) -> None:
        """Reach the store; raise `StoreUnavailableError`, or `StoreFullError` without space."""

    def open_sightings(self, before: datetime | None, beyond: int | None) -> list[tuple[UUID, str]]:
        """Return id and chip digest of sightings without a vessel, the latest recorded first.

        Args:
            before: those recorded before this time; None for none of them.
            beyond: besides, all but so many, the latest; None for none.
        """

    def delete_open_sightings(self, ids: Collection[UUID]) -> None:
        """Delete those of these sightings that have no vessel now."""

    def check_records(self) -> Iterator[list[RecordCheck]]:
        """Compare vessels and sightings of the bundle with their digests, a few at a time."""

    def close(self) -> None:
        """Close the connection or files of the store."""
