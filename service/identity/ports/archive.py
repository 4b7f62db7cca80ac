"""The port of the whole gallery, with the sightings of every bundle."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from service.identity.records.checks import RecordCheck
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel


class GalleryArchive(Protocol):
    """The whole gallery, with the sightings of every bundle: for upgrades and backups.

    Errors are those of `Gallery`; every writing method returns when its change is durable.
    """

    def bundles(self) -> dict[str, int]:
        """Return the prepared bundles, with D, the width of their embeddings."""

    def prepare(self, bundle_id: str, width: int) -> None:
        """Create the storage for the sightings of a bundle, if there is none."""

    def active(self) -> str | None:
        """Return the bundle whose sightings are served; None before the gallery was first used."""

    def activate(self, bundle_id: str) -> None:
        """Serve the sightings of this bundle from now on; one atomic step for all services."""

    def vessels(self) -> Iterator[Vessel]:
        """Iterate over all vessels in any state."""

    def get_vessels(self, ids: Collection[UUID]) -> dict[UUID, Vessel]:
        """Return the vessels that exist among `ids`, in any state."""

    def put_vessels(self, vessels: Sequence[Vessel]) -> None:
        """Insert or replace vessels."""

    def sighting_ids(self, bundle_id: str) -> set[UUID]:
        """Return the ids of the bundle's sightings."""

    def sightings(self, bundle_id: str) -> Iterator[EmbeddedSighting]:
        """Iterate over the sightings of a bundle, without the tentative ones."""

    def get_sightings(self, bundle_id: str, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """Return the sightings that exist among `ids`."""

    def put_sightings(
        self,
        bundle_id: str,
        sightings: Sequence[EmbeddedSighting],
        owners: Mapping[UUID, Vessel],
        tentative: bool = False,
    ) -> None:
        """Insert or replace sightings; `owners` holds the vessel of each sighting that has one.

        `tentative` ones are marked until they are confirmed or a service writes them again.
        """

    def tentative(self, bundle_id: str) -> set[UUID]:
        """Return the ids of this bundle's tentative sightings."""

    def confirm_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        """Remove the mark `tentative`; absent ids are ignored."""

    def drop_tentative(self, bundle_id: str, ids: Collection[UUID]) -> None:
        """Delete those of the sightings that are tentative, from this bundle only."""

    def chips_shown(self) -> set[str]:
        """Return the SHA-256 of every chip that a sighting of any bundle uses."""

    def uses_chip(self, chip_sha256: str) -> bool:
        """Return whether a sighting of any bundle uses these bytes."""

    def delete_sightings(self, bundle_id: str, ids: Collection[UUID]) -> None:
        """Delete sightings from this bundle only; absent ids are ignored."""

    def check_records(self) -> Iterator[list[RecordCheck]]:
        """Compare vessels and sightings of all bundles with their digests, a few at a time."""

    def close(self) -> None:
        """Close the connection or files of the store."""
